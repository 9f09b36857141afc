"""What is allowed of attestations: opaque files, each named by its own sha256."""

import re
from collections.abc import Iterable

from ...patches.digests import sha256
from ...patches.errors import DigestMismatch, ExtraFile, LimitExceeded
from ...patches.format.names import quoted
from .. import attestations

MAX_COUNT = 1_000
MAX_BYTES = attestations.MAX_BYTES
MAX_TOTAL_BYTES = 64 << 20
_NAME = re.compile(r"([0-9a-f]{64})\.json")


def file_name(digest: str) -> str:
    """The file name of an attestation."""
    return f"{digest}.json"


def read_names(names: Iterable[str]) -> list[str]:
    """Give the digests that the file names stand for, sorted; raises ExtraFile, LimitExceeded."""
    digests = []
    for name in names:
        match = _NAME.fullmatch(name)
        if not match:
            raise ExtraFile(
                f"{quoted(name)} among the attestations is not one",
                hint="an attestation is named by its own sha256, as SHA256.json",
            )
        digests.append(match[1])
        if len(digests) > MAX_COUNT:
            raise LimitExceeded(f"there are more than {MAX_COUNT} attestations")
    return sorted(digests)


def check_total(total: int) -> None:
    """Raise LimitExceeded if all attestations together are too large."""
    if total > MAX_TOTAL_BYTES:
        raise LimitExceeded(f"the attestations are larger than {MAX_TOTAL_BYTES} bytes together")


def check(digest: str, data: bytes) -> bytes:
    """Give `data` back if it has this digest; raises LimitExceeded, DigestMismatch."""
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"attestation {digest[:12]} is larger than {MAX_BYTES} bytes")
    if sha256(data) != digest:
        raise DigestMismatch(
            f"attestation {digest[:12]} is not what its name says",
            why="the file was damaged or changed since it was published",
            hint="fetch it again; if it stays so, do not trust its source",
        )
    return data
