"""A file of tensors that appears whole or not at all: written beside its target, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..builds.staging import full_disk, locked_name, rename_without_replacing, sweep, sync
from ..errors import PathRefused, TargetExists

_LENGTH = 8
"""Bytes that say how long the header is, which is a JSON object."""


@contextmanager
def new_file(target: Path, size: int, *, replace: bool = False) -> Iterator[BinaryIO]:
    """Give a hidden file beside `target`, `size` bytes reserved; it becomes `target` at the end.

    With `replace` a safetensors file that is there is exchanged for it, and nothing else. What
    killed runs left beside the target is swept first. Raises TargetExists, PathRefused, NoSpace.
    """
    target = target.absolute()
    _require_free(target, replace=replace)
    sweep(target)
    with full_disk(target), locked_name(target) as partial:
        try:
            with partial.open("xb") as file:
                if size and hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                yield file
                file.flush()
                os.fsync(file.fileno())
            _publish(partial, target, replace=replace)
        finally:
            partial.unlink(missing_ok=True)


def _publish(partial: Path, target: Path, *, replace: bool) -> None:
    if replace:
        _require_free(target, replace=True)
        partial.replace(target)
    else:
        rename_without_replacing(partial, target)
    sync(target.parent)


def _require_free(target: Path, *, replace: bool) -> None:
    if not target.parent.is_dir():
        raise PathRefused(f"{target.parent} is not a folder", hint="create it first")
    if not os.path.lexists(target):
        return
    if not replace:
        raise TargetExists(f"{target} is already there", hint="name a file that is not there yet")
    if not _holds_tensors(target):
        raise TargetExists(
            f"{target} is there and is no regular safetensors file",
            why="only a file of tensors is exchanged for another",
            hint="name a file that is not there yet",
        )


def _holds_tensors(file: Path) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as stream:
        head = stream.read(_LENGTH + 1)
    length = int.from_bytes(head[:_LENGTH], "little")
    return head[_LENGTH:] == b"{" and length <= file.stat().st_size - _LENGTH
