"""Files that a command writes: whole or not at all, and never over another one."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..patches.builds.staging import rename_without_replacing
from ..patches.errors import TargetExists


def write_new(target: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that is not there yet, in one step; raises TargetExists, OSError."""
    if os.path.lexists(target):
        raise TargetExists(f"{target} is already there", hint="name a file that is not there yet")
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
