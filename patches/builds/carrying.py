"""The files beside the weights: which belong in a build, and how they get there."""

import errno
import os
import shutil
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_files import INDEX, OTHER_WEIGHTS, SINGLE
from ..errors import NoSpace, PathRefused
from ..format.names import quoted
from .record import RECORD
from .undo import UNDO

SPARE = 1.05
"""Free space asked for, as a multiple of what is written."""


def carried_files(checkpoint: Checkpoint) -> list[Path]:
    """Files of a base that belong in a build beside the weights: tokenizer, configuration, index.

    Hidden files are left out, and other copies of the weights, which would stay unpatched, pickles
    among them. Raises PathRefused for a name that is not Unicode.
    """
    indexed = checkpoint.path / SINGLE not in checkpoint.files
    files = [
        file
        for file in sorted(checkpoint.path.iterdir())
        if file not in checkpoint.files
        and ((indexed and file.name == INDEX) or (file.is_file() and not _left_out(file)))
    ]
    for file in files:
        if not _is_unicode(file.name):
            raise PathRefused(
                f"the name {quoted(file.name)} is not Unicode",
                why="a build's record could not name it",
                hint=f"rename it, or move it out of {checkpoint.path}",
            )
    return files


def mode_of(file: Path) -> int:
    """Permissions for the copy of a file: the same, and its owner may write."""
    return stat.S_IMODE(file.stat().st_mode) & 0o777 | stat.S_IWUSR


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _left_out(file: Path) -> bool:
    # An adapter's configuration would bring weights that are left out.
    own = file.name in (RECORD, UNDO, "adapter_config.json")
    return own or file.name.startswith(".") or any(map(file.match, OTHER_WEIGHTS))


def copy_entry(entry: Path, target: Path) -> None:
    """Copy a file or folder, links as links; raises PathRefused for what is neither."""
    if entry.is_symlink() or not entry.is_dir():
        shutil.copyfile(entry, target, follow_symlinks=False)
        return
    try:
        shutil.copytree(entry, target, symlinks=True)
    except shutil.Error as error:
        source, _, why = error.args[0][0]
        if os.strerror(errno.ENOSPC) in str(why):
            raise OSError(errno.ENOSPC, str(why)) from None
        raise PathRefused(f"{source} cannot be copied", why=str(why)) from None


def require_plain(entries: Iterable[Path]) -> None:
    """Raise PathRefused unless there are only files, folders and links."""
    for entry in entries:
        mode = entry.lstat().st_mode
        if stat.S_ISDIR(mode):
            require_plain(entry.iterdir())
        elif not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise PathRefused(
                f"{entry} is neither a file nor a folder", hint="move it out of the build"
            )


def size_of(entries: Iterable[Path], followed: Collection[Path]) -> int:
    """Bytes in files and all that lies in folders, links counted as links unless followed."""
    return sum(
        size_of(entry.iterdir(), followed)
        if entry.is_dir() and not entry.is_symlink()
        else entry.stat(follow_symlinks=entry in followed).st_size
        for entry in entries
    )


def require_space(needed: int, out: Path) -> None:
    """Raise NoSpace unless `needed` bytes and a little more are free beside `out`."""
    free = shutil.disk_usage(out.absolute().parent).free
    if free < SPARE * needed:
        raise NoSpace(
            f"{out} needs {int(SPARE * needed):,} bytes, {free:,} are free",
            hint="free some space, or write to another disk",
        )
