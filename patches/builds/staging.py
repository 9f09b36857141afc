"""A folder that appears whole or not at all: written beside its target, renamed at the end."""

import ctypes
import errno
import fcntl
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import NoSpace, PathRefused, TargetExists

PARTIAL = ".partial-"
LOCK = ".lock"
TRIES = 100
"""How often a name is tried that others make or remove at the same time."""

_LONGEST = 40
_NOREPLACE, _EXCHANGE = 1, 2
_AT_FDCWD = -100
_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def staged(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a hidden folder beside `target`; if the block ends well, it becomes `target` at once.

    With `replace`, a folder that is there is exchanged for the new one and then removed. What
    killed runs left beside the target is swept first. Raises TargetExists, PathRefused, NoSpace.
    """
    target = target.absolute()
    if not replace:
        require_free(target)
    sweep(target)
    with full_disk(target), locked_name(target) as partial:
        partial.mkdir()
        mode = partial.stat().st_mode
        partial.chmod(0o700)
        try:
            yield partial
            sync_tree(partial)
            partial.chmod(mode)
            _publish(partial, target, replace=replace)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        # It is done: an interrupt now leaves some of the old folder for the next run to sweep.
        with suppress(KeyboardInterrupt):
            shutil.rmtree(partial, ignore_errors=True)


def require_free(target: Path) -> None:
    """Raise TargetExists or PathRefused unless a folder could be made at `target`."""
    if os.path.lexists(target):
        raise TargetExists(
            f"{target} is already there", hint="name a folder that does not exist yet"
        )
    parent = target.absolute().parent
    if not parent.exists():
        raise PathRefused(f"there is no folder {parent}", hint="create it first")
    if not parent.is_dir():
        raise PathRefused(f"{parent} is not a folder", hint="name a place in a folder")


@contextmanager
def full_disk(target: Path) -> Iterator[None]:
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


@contextmanager
def locked_name(target: Path) -> Iterator[Path]:
    """A new hidden name beside the target, known to be in use for as long as its lock is held."""
    partial = target.with_name(f".{_short(target)}{PARTIAL}{os.getpid()}-{secrets.token_hex(4)}")
    lock = partial.with_name(partial.name + LOCK)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield partial
        finally:
            if not partial.exists():
                lock.unlink(missing_ok=True)


def sweep(target: Path) -> None:
    """Remove what dead runs left: hidden files and folders whose lock nobody holds."""
    for lock in target.parent.glob(f".{glob.escape(_short(target))}{PARTIAL}*{LOCK}"):
        try:
            with lock.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(lock.with_name(lock.name.removesuffix(LOCK)))
                lock.unlink()
        except OSError:
            continue


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)


def _short(target: Path) -> str:
    """As much of a name as leaves room for what is put after it, in a name of 255 bytes."""
    return target.name[:_LONGEST]


def sync_tree(folder: Path) -> None:
    """fsync every file and folder below, and the folder itself; links are not followed."""
    for entry in folder.iterdir():
        if entry.is_symlink():
            continue
        if entry.is_dir():
            sync_tree(entry)
        else:
            sync(entry)
    sync(folder)


def rename_without_replacing(source: Path, target: Path) -> None:
    """Rename in one step; raises TargetExists if something has the name already."""
    try:
        _renameat2(source, target, _NOREPLACE)
    except FileExistsError:
        raise TargetExists(f"{target} is already there") from None
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        if os.path.lexists(target):
            raise TargetExists(f"{target} is already there") from None
        source.rename(target)


def _publish(partial: Path, target: Path, *, replace: bool) -> None:
    if replace:
        _replace(partial, target)
    else:
        rename_without_replacing(partial, target)
    sync(target.parent)


def _replace(partial: Path, target: Path) -> None:
    """Exchange with what is there, or take the name: others may make and remove it meanwhile."""
    for _ in range(TRIES):
        try:
            if target.exists():
                _exchange(partial, target)
            else:
                rename_without_replacing(partial, target)
        except (FileNotFoundError, TargetExists):
            continue
        return
    raise TargetExists(f"{target} is made and removed by others all the time", hint="try again")


def _exchange(partial: Path, target: Path) -> None:
    try:
        _renameat2(partial, target, _EXCHANGE)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        aside = partial.with_name(partial.name + "-old")
        target.rename(aside)
        partial.rename(target)
        shutil.rmtree(aside)


def _renameat2(source: Path, target: Path, flags: int) -> None:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, "renameat2 is not available")
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(source), None, str(target))


def sync(path: Path) -> None:
    """fsync a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
