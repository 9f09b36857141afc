"""Copies of files that cost as little as the file system allows, made in the kernel."""

import ctypes
import errno
import fcntl
import os
from pathlib import Path

CHUNK = 8 << 20
"""Bytes copied at a time: the disk writes one chunk while the next is copied."""
_FICLONE = 0x4004_9409
_START_WRITING = 2  # SYNC_FILE_RANGE_WRITE
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
_NOT_OFFERED = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY)


def reflink(source: int, target: int) -> bool:
    """Let `target` share the blocks of `source` until one is written to, if that is possible."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno not in (*_NOT_OFFERED, errno.EPERM, errno.EBADF):
            raise
        return False
    return True


def hard_link(source: Path, target: Path) -> bool:
    """Give a file a second name, if that is possible: links of the base are followed first."""
    try:
        target.hardlink_to(source.resolve())
    except OSError as error:
        if error.errno not in (*_NOT_OFFERED, errno.EPERM, errno.EACCES, errno.EMLINK):
            raise
        return False
    return True


def copy_range(source: int, target: int, count: int, *, start: int, place: int) -> None:
    """Copy `count` bytes from `start` in one file to `place` in another.

    Raises EOFError if the source is shorter.
    """
    while count:
        done = _copy_some(source, target, count, start, place)
        if not done:
            raise EOFError("a file became shorter while it was copied")
        start, place, count = start + done, place + done, count - done


def start_writing(file: int, place: int, count: int) -> None:
    """Let the disk begin with what was written to a file, so that `fsync` has little left to do.

    A hint: where the system cannot do it, nothing happens.
    """
    if _sync_file_range is not None:
        _sync_file_range(file, ctypes.c_int64(place), ctypes.c_int64(count), _START_WRITING)


def _copy_some(source: int, target: int, count: int, start: int, place: int) -> int:
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, count, start, place)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
    return os.pwrite(target, os.pread(source, min(count, 1 << 20), start), place)
