"""What a file that is not safetensors is instead, so that the error can say what went wrong."""

import re

_FETCH = "the download gave a page, not the file; check the address and whether you are logged in"
_CONVERT = "weightpatch never opens pickles; ask the author for a safetensors file"
_UNPACK = "unpack it first"

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"version https://git-lfs",
        "a Git LFS pointer",
        "it stands for the real file; run git lfs pull, or download it again with weightpatch pull",
    ),
    (rb"PK\x03\x04", "a zip archive, as torch.save writes", _CONVERT),
    (rb"\x80[\x02-\x05]", "a pickle", _CONVERT),
    (rb"\x1f\x8b", "a gzip archive", _UNPACK),
    (rb"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (rb"GGUF", "a GGUF model", "give the safetensors file that it was made from"),
    (rb"(?i)\s*(<!doctype|<html|<\?xml)", "a web page", _FETCH),
    (rb"\s*[{\[]", "a JSON text", _FETCH),
)


def recognise(head: bytes) -> tuple[str, str] | None:
    """Say what a file with these first bytes is and what to do about it, or None if unknown."""
    for pattern, kind, hint in _KINDS:
        if re.match(pattern, head):
            return kind, hint
    return None
