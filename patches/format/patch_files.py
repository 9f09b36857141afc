"""The files of a version in a folder: which may be there, and how they are opened and hashed."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..digests import Stamp, file_stamp, sha256_range
from ..errors import (
    DigestMismatch,
    ExtraFile,
    LimitExceeded,
    ManifestError,
    PathRefused,
    SizeMismatch,
)
from .manifest import FileRecord
from .names import quoted

MANIFEST = "patch.json"
DELTA = "delta.safetensors"
REQUESTS = "requests.jsonl"
CARD = "README.md"
ATTESTATIONS = "attestations"


def check_entry(entry: Path) -> None:
    """Raise ExtraFile or PathRefused unless an entry of a folder may be part of a patch."""
    status = entry.lstat()
    if entry.name == ATTESTATIONS and stat.S_ISDIR(status.st_mode):
        return
    if entry.name not in (MANIFEST, DELTA, REQUESTS, CARD):
        raise ExtraFile(
            f"{quoted(entry.name)} does not belong to a patch",
            hint="a patch folder holds patch.json, delta.safetensors, requests.jsonl, README.md "
            "and attestations/",
        )
    _require_regular(entry.name, status)


def _require_regular(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PathRefused(f"{name} is not a regular file", why="a patch is made of plain files")


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BinaryIO]:
    """Open a regular file, wait at no pipe; raises ManifestError, PathRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ManifestError(f"{name} is missing", hint="fetch the patch again") from None
    except OSError as error:
        raise ManifestError(f"{name} cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        _require_regular(name, os.fstat(descriptor))
        yield file


def check_file(path: Path, name: str, record: FileRecord) -> Stamp:
    """The stamp of a file that is what `record` says.

    Raises ManifestError, PathRefused, SizeMismatch, DigestMismatch.
    """
    with _opened(path, name) as file:
        stamp = file_stamp(path)
        status = os.fstat(file.fileno())
        size = status.st_size
        if (size, status.st_ino) != (stamp[1], stamp[2]):
            raise other_bytes(name)
        if size != record.size:
            raise SizeMismatch(
                f"{name} has {size} bytes, patch.json says {record.size}",
                hint="fetch the patch again",
            )
        if sha256_range(file, 0, size) != record.sha256:
            raise other_bytes(name)
    return stamp


def read_small(path: Path, name: str, limit: int) -> bytes:
    """The bytes of a file; raises ManifestError, PathRefused, LimitExceeded."""
    with _opened(path, name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise LimitExceeded(f"{name} is larger than {limit} bytes")
    return data


def other_bytes(name: str) -> DigestMismatch:
    """The error for a file that is not the promised one."""
    return DigestMismatch(
        f"the bytes of {name} are not those of patch.json",
        why="the file was damaged or changed since it was published",
        hint="fetch the patch again; if it stays so, do not trust its source",
    )
