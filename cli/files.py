"""Files that a command writes: whole or not at all, and never over another one."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..patches.builds.staging import rename_without_replacing
from ..patches.errors import InputError, ManifestError, TargetExists

MANIFEST = "patch.json"
NEW = "name a file that is not there yet"


def write_new(target: Path, chunks: Iterable[bytes], *, hint: str = NEW) -> None:
    """Write a file that is not there yet, in one step.

    Raises TargetExists with the hint given, InputError if its folder does not exist, OSError.
    """
    require_parent(target)
    require_free(target, hint=hint)
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:64]}.", dir=target.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        rename_without_replacing(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def require_free(target: Path, *, hint: str = NEW) -> None:
    """Raise TargetExists, with the hint given, for a file that is there."""
    if os.path.lexists(target):
        raise TargetExists(f"{target} is already there", hint=hint)


def require_parent(target: Path) -> None:
    """Raise InputError for a file whose folder does not exist."""
    if not target.parent.is_dir():
        raise InputError(
            f"{target} cannot be written",
            why=f"there is no folder {target.parent}",
            hint="make the folder first",
        )


def require_patch(folder: Path) -> None:
    """Raise ManifestError for a folder without a manifest, such as that of a checkpoint."""
    if folder.is_dir() and not os.path.lexists(folder / MANIFEST):
        raise ManifestError(
            f"there is no {MANIFEST} in {folder}",
            why="it is not the folder of a version",
            hint="name a version, as in acme/darrieux@1, or the folder of one",
        )
