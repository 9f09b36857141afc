"""A checkpoint: a small text that, kept elsewhere, shows whether a past was rewritten."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Self

from ...patches.errors import FormatError

MAX_BYTES = 512
"""A checkpoint's text is never as long."""

_TEXT = re.compile(
    r"(weightpatch/[0-9a-f]{16})\n([1-9][0-9]{0,14})\n([A-Za-z0-9+/]{43}=)\n", re.ASCII
)


@dataclass(frozen=True)
class Checkpoint:
    """The Merkle root over the first `size` entries of the ledger called `origin`.

    Its text is the body of a C2SP checkpoint: origin, decimal size and base64 root, each on a line.
    """

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a checkpoint that came from anywhere; raises FormatError for any other spelling."""
        try:
            found = _TEXT.fullmatch(data.decode("ascii")) if len(data) < MAX_BYTES else None
            root = base64.b64decode(found[3], validate=True) if found else b""
        except (UnicodeDecodeError, binascii.Error):
            found, root = None, b""
        if found is None or base64.b64encode(root).decode() != found[3]:
            raise FormatError(
                "this is not a checkpoint of a ledger",
                why="it must be three lines: weightpatch/ and 16 hexadecimal digits, the number of "
                "entries, and a sha256 in base64",
                hint="write one with: weightpatch ledger checkpoint --out FILE",
            )
        return cls(found[1], int(found[2]), root)


def origin_of(first_entry_hash: bytes) -> str:
    """What the ledger is called whose entry 1 has this hash."""
    return f"weightpatch/{first_entry_hash[:8].hex()}"
