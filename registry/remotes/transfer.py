"""Copy a file while hashing it, and stop as soon as it is not what was promised."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from ...patches.digests import BLOCK
from ...patches.errors import DigestMismatch, InputError, LimitExceeded, PathRefused, SizeMismatch
from ...patches.format.manifest import FileRecord
from ...patches.progress import Progress, silent


@contextmanager
def open_regular(path: Path, *, follow: bool = False) -> Iterator[BufferedReader]:
    """Open a regular file for reading; a link (unless `follow`), pipe or device is refused.

    Raises PathRefused, and OSError if it is not there.
    """
    _require_regular(path, path.stat(follow_symlinks=follow))
    # It may have been exchanged since: follow no link, wait at no pipe, and look again.
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _require_regular(path, os.fstat(file.fileno()))
        yield file


@contextmanager
def from_place(place: object) -> Iterator[None]:
    """Let what is wrong with files that are fetched, an InputError, name where they come from."""
    try:
        yield
    except InputError as error:
        error.message = f"{place}: {error.message}"
        raise


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a link" if stat.S_ISLNK(status.st_mode) else "not a regular file"
        raise PathRefused(f"{path.name!r} is {kind}", why="a patch is made of plain files")


def copy_checked(
    source: Path,
    target: Path,
    record: FileRecord,
    *,
    follow: bool = False,
    progress: Progress = silent,
    phase: str = "copy",
) -> None:
    """Copy `source` to the new file `target`, which must come out as `record` says.

    Never more than `record.size` bytes are written. Raises PathRefused, SizeMismatch,
    DigestMismatch, and OSError; what was written then is to be thrown away.
    """
    digest = hashlib.sha256()
    done = 0
    with open_regular(source, follow=follow) as reader, target.open("xb") as writer:
        progress(phase, done, record.size)
        while block := reader.read(BLOCK):
            done += len(block)
            if done > record.size:
                break
            digest.update(block)
            writer.write(block)
            progress(phase, done, record.size)
    if done != record.size:
        longer = "more" if done > record.size else f"{done}"
        raise SizeMismatch(
            f"{target.name} has {longer} bytes where {record.size} were promised",
            hint="fetch the patch again; if it stays so, do not trust its source",
        )
    if digest.hexdigest() != record.sha256:
        raise DigestMismatch(
            f"the bytes of {target.name} are not those that were promised",
            why="the file was damaged or changed since it was published",
            hint="fetch the patch again; if it stays so, do not trust its source",
        )


def read_limited(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """Read a small regular file; raises PathRefused, LimitExceeded, and OSError."""
    with open_regular(path, follow=follow) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise LimitExceeded(f"{path.name} is larger than {limit} bytes")
    return data
