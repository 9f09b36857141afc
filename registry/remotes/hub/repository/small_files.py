"""Small files straight from the Hub: one request each, or two where the bytes lie elsewhere.

Its own client makes two to five: `hf_hub_download` first asks for a file's digest and size, which
the list of the commit has said already, and lets Xet plan the download of a few kilobytes. What is
fetched here is kept by the digest that was listed, so that a file which several versions share
comes once.
"""

import tempfile
from pathlib import Path
from typing import Any

LIMIT = 1 << 20
"""Bytes of the largest file that is fetched so."""


def download(
    name: str, path: str, oid: str, *, digest: str, size: int, bar: type[Any], force: bool
) -> Path:
    """Fetch a file of the repository `name` at a commit, or find it here; it is not hashed.

    It is kept under `digest`, the one that the Hub lists. More than `size` bytes are not taken if
    `bar`, which is told of each block, raises. The user's token goes to the Hub alone, and not
    where the Hub sends us on to. Raises as the client.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    headers = build_hf_headers(library_name="weightpatch")
    headers[constants.X_HF_DOWNLOAD_COUNTER] = "1"  # as the client's own downloads, these count
    kept = _folder() / digest
    if not force and kept.is_file() and kept.stat().st_size == size:
        return kept
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".") as folder:
        arriving = Path(folder) / kept.name
        with arriving.open("xb") as writer:
            http_get(
                hf_hub_url(name, path, revision=oid),
                writer,
                headers=headers,
                expected_size=size,
                tqdm_class=bar,
            )
        return arriving.replace(kept)


def _folder() -> Path:
    from huggingface_hub import cached_assets_path

    return cached_assets_path("weightpatch", namespace="files", subfolder="by-digest")
