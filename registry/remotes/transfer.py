"""Copy a file while hashing it, and stop as soon as it is not what was promised."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ...patches.digests import BLOCK
from ...patches.errors import DigestMismatch, LimitExceeded, PathRefused, SizeMismatch
from ...patches.manifest import FileRecord
from ...patches.progress import Progress, silent


@contextmanager
def open_regular(path: Path, *, follow: bool = False) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a link (unless `follow`), pipe or device is refused.

    Raises PathRefused, and OSError if it is not there.
    """
    no_links = 0 if follow else getattr(os, "O_NOFOLLOW", 0)
    if no_links and path.is_symlink():
        raise PathRefused(f"{path.name!r} is a link, not a file")
    # O_NONBLOCK: opening a pipe must not wait for its other end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | no_links)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PathRefused(f"{path.name!r} is not a regular file")
        yield file


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
