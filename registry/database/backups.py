"""A copy of an SQLite database beside it, made before its tables are changed."""

import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from ...patches.errors import NoSpace
from ..blobs import sync_folder
from ..errors import DatabaseFailed

ROOM = 1.05
"""How much free space a copy needs, in sizes of the database."""


def copy_aside(file: Path, revision: str, time: datetime) -> Path:
    """Copy a database while nobody writes to it, flushed to the disk; gives the copy's path.

    The copy of registry.db is called registry.db.REVISION.bak-TIME and never takes the place of
    another file. Raises NoSpace, DatabaseFailed for a database that is damaged, sqlite3.Error,
    OSError; no copy is left then.
    """
    _require_room(file)
    partial = file.with_name(f"{file.name}.partial-{secrets.token_hex(8)}")
    try:
        _copy(file, partial)
        with partial.open("rb+") as copied:
            os.fsync(copied.fileno())
        final = _free_name(file, f"{revision}.bak-{time.astimezone(UTC):%Y%m%dT%H%M%SZ}")
        partial.rename(final)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(file.parent)
    return final


def _require_room(file: Path) -> None:
    log = file.with_name(f"{file.name}-wal")
    size = file.stat().st_size + (log.stat().st_size if log.exists() else 0)
    free = shutil.disk_usage(file.parent).free
    if free < size * ROOM:
        raise NoSpace(
            f"there is no room for a copy of {file}",
            why=f"it needs {size} bytes, {free} are free; nothing is upgraded without a copy",
            hint="make room and try again",
        )


def _copy(file: Path, partial: Path) -> None:
    source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    partial.touch(mode=0o600)
    shutil.copymode(file, partial)
    with closing(source), closing(sqlite3.connect(partial, isolation_level=None)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
        found = target.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DatabaseFailed(
            f"the database is damaged: {found}",
            why=f"at {file}",
            hint="nothing was changed; go back to a backup",
        )


def _free_name(file: Path, ending: str) -> Path:
    """A name that no file has; nobody else is about to take it, since this writer has the turn."""
    found = file.with_name(f"{file.name}.{ending}")
    number = 1
    while found.exists():
        number += 1
        found = file.with_name(f"{file.name}.{ending}-{number}")
    return found
