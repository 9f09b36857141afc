"""Where an export may be written: never into what it is read from."""

from collections.abc import Sequence
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..errors import PathRefused
from ..format.patch import Patch


def require_apart(target: Path, checkpoint: Checkpoint, patches: Sequence[Patch]) -> None:
    """Raise PathRefused for a target in the folder of the base or of a patch, or a link into it.

    A file more makes a patch unreadable, and one of another name may be part of the base.
    """
    files = [*checkpoint.files, *(file for patch in patches for file in patch.files.values())]
    read = {checkpoint.path.resolve()}
    read |= {one for file in files for one in (file.parent.resolve(), file.resolve().parent)}
    parent = target.absolute().parent.resolve()
    around = {parent, *parent.parents, *target.resolve().parents}
    for folder in sorted(read & around):
        raise PathRefused(
            f"{target} lies in {folder}, which is only read", hint="write to another folder"
        )
