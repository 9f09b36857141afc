"""A file that appears whole or not at all: written beside its target, renamed at the end."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..builds.staging import rename_without_replacing
from ..errors import NoSpace, PathRefused, TargetExists

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def new_file(target: Path, size: int, *, replace: bool = False) -> Iterator[BinaryIO]:
    """Give a hidden file beside `target`, `size` bytes reserved; it becomes `target` at the end.

    With `replace` a regular file that is there is exchanged for it. Raises TargetExists,
    PathRefused, NoSpace.
    """
    target = target.absolute()
    _require_free(target, replace=replace)
    partial = target.with_name(f".{target.name[:64]}.partial-{secrets.token_hex(4)}")
    try:
        with _full_disk(target), partial.open("xb") as file:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            _require_free(target, replace=True)
            partial.replace(target)
        else:
            rename_without_replacing(partial, target)
        _sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _require_free(target: Path, *, replace: bool) -> None:
    if not target.parent.is_dir():
        raise PathRefused(f"{target.parent} is not a folder", hint="create it first")
    if os.path.lexists(target) and not (replace and target.is_file()):
        raise TargetExists(f"{target} is already there", hint="name a file that is not there yet")


@contextmanager
def _full_disk(target: Path) -> Iterator[None]:
    """Turn the system's word for a full disk into ours."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NoSpace(
            f"no space is left for {target}",
            why=str(error.strerror),
            hint="free some space, or write to another disk; nothing was left behind",
        ) from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
