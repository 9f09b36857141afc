"""What lies under an SQLite file: a medium that cannot be written to, or one that is full."""

import os
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL

ANY_WRITE = 0o222
LITTLE = 1 << 20
"""With fewer bytes free than this, a failed write is laid to a full disk."""

_PRIMARY = 0xFF


def is_read_only(file: Path) -> bool:
    """Whether a database that is there cannot be written to, its folder included."""
    if not file.is_file():
        return False
    places = (file, file.parent)
    return not all(os.access(place, os.W_OK) for place in places) or _is_sealed(file.parent)


def read_only_url(file: Path) -> URL:
    """The URL that opens an SQLite file for reading.

    SQLite needs to write beside a database with a write-ahead log even to read it, unless it is
    told that nothing changes the file. That is said only of a medium that nobody may write to, and
    of a file that has no log left beside it.
    """
    wal = file.with_name(f"{file.name}-wal")
    query = {"uri": "true", "mode": "ro"}
    if _is_sealed(file.parent) and not wal.exists():
        query["immutable"] = "1"
    return URL.create("sqlite", database=f"file:{quote(os.fsencode(file))}", query=query)


def is_full(error: BaseException | None, file: Path | None) -> bool:
    """Whether SQLite failed since the disk is full; some of its writes call that an I/O error."""
    if file is None or not isinstance(error, sqlite3.Error):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & _PRIMARY
    if code == sqlite3.SQLITE_FULL:
        return True
    return code == sqlite3.SQLITE_IOERR and shutil.disk_usage(file.parent).free < LITTLE


def is_busy(error: BaseException | None) -> bool:
    """Whether SQLite failed since somebody else is writing."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & _PRIMARY
    return isinstance(error, sqlite3.Error) and code == sqlite3.SQLITE_BUSY


def _is_sealed(folder: Path) -> bool:
    """Whether nobody may write into a folder: by its mode, or by how its file system is mounted."""
    if os.name == "nt":
        return False
    mounted_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    return bool(mounted_read_only) or not folder.stat().st_mode & ANY_WRITE
