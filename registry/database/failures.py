"""Errors of the two drivers, told in our words; a password is never among them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ...patches.errors import NoSpace, WeightpatchError
from ..errors import DatabaseFailed
from .media import is_busy, is_full

UNCHANGED = "nothing was changed"
_DISK_FULL = "53100"
_LOCK_TIMEOUT = "55P03"
_NOT_ALLOWED = "42501"
_CONNECTION_LOST = ("08", "57P")
"""How the codes begin that PostgreSQL gives for a connection that ended."""


@contextmanager
def told(url: URL, file: Path | None) -> Iterator[None]:
    """Turn what a driver raises into DatabaseFailed or NoSpace; `file` is that of SQLite."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseFailed(
            "too many threads use the registry at once",
            why="each waited for a connection to the database, and none became free",
            hint=f"{UNCHANGED}; use fewer threads",
        ) from error
    except DBAPIError as error:
        raise _ours(error.orig or error, url, file) from error
    except sqlite3.Error as error:
        raise _ours(error, url, file) from error


def _ours(error: BaseException, url: URL, file: Path | None) -> WeightpatchError:
    said = _without_password(" ".join(str(error).split()), url)
    where = f"at {url.set(query={}).render_as_string(hide_password=True)}"
    code = str(getattr(error, "sqlstate", None) or "")
    if is_full(error, file) or code == _DISK_FULL:
        return NoSpace(
            f"the disk of the database is full: {said}",
            why=where,
            hint=f"{UNCHANGED}; make room and try again",
        )
    if is_busy(error) or code == _LOCK_TIMEOUT:
        return DatabaseFailed(
            "somebody else has been writing to the registry for too long",
            why=f"{where}: {said}",
            hint=f"{UNCHANGED}; try again, and look for a program that hangs or is being upgraded",
        )
    if code == _NOT_ALLOWED:
        return DatabaseFailed(
            f"the database does not allow that: {said}",
            why=where,
            hint=f"{UNCHANGED}; ask for the rights of a writer, or of the owner for an upgrade",
        )
    if file is None and _is_unreachable(error, code):
        return DatabaseFailed(
            f"the database cannot be reached: {said}",
            why=where,
            hint="check that the server is up, that the database is there (createdb makes one), "
            "and that user and password are right",
        )
    return DatabaseFailed(
        f"the database failed: {said}",
        why=where,
        hint=f"{UNCHANGED}; check that the database can be reached and written to; "
        "one on a read-only medium can be copied to a place that can be written to",
    )


def _is_unreachable(error: BaseException, code: str) -> bool:
    if code:
        return code.startswith(_CONNECTION_LOST)
    return type(error).__name__ in ("OperationalError", "ConnectionTimeout")


def _without_password(said: str, url: URL) -> str:
    given = (url.password, *url.normalized_query.get("password", ()))
    for password in filter(None, map(str, given)):
        said = said.replace(password, "***")
    return said
