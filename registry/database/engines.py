"""Engines for the two databases, with the settings that each needs."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from ..errors import DatabaseFailed
from .media import is_busy, is_read_only, read_only_url

PATIENCE = 60
"""Seconds for which a writer waits for its turn."""

# The time-out comes first: turning to WAL may itself have to wait.
_PRAGMAS = (
    "busy_timeout=30000",
    "journal_mode=WAL",
    "journal_size_limit=67108864",
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "trusted_schema=OFF",
)

# A URL may say otherwise. A server that went away without a word is noticed in a minute.
_SERVER = {
    "application_name": "weightpatch",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


def sqlite_engine(file: Path) -> Engine:
    """An engine for a file, each transaction of it begun as the option `sqlite_begin` says."""
    read_only = is_read_only(file)
    url = URL.create("sqlite", database=str(file))
    engine = _engine(read_only_url(file) if read_only else url)
    event.listen(engine, "connect", _configure_reader if read_only else _configure)
    event.listen(engine, "begin", _begin)
    return engine


def postgresql_engine(url: URL) -> Engine:
    """An engine for a server; each connection is tried before it is used again."""
    settings = {key: value for key, value in _SERVER.items() if key not in url.query}
    return _engine(url, pool_pre_ping=True, connect_args=settings)


def _engine(url: URL, **options: Any) -> Engine:  # noqa: ANN401 - what create_engine takes
    try:
        return create_engine(url, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise DatabaseFailed(
            f"the driver of {url.get_backend_name()} databases is not installed: {error}",
            hint='pip install "weightpatch[postgres]"',
        ) from None
    except (ArgumentError, TypeError, ValueError) as error:
        raise DatabaseFailed(
            f"the database's URL cannot be used: {error}",
            hint="check the options after the ? of the URL",
        ) from None


def _configure(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - any driver
    # Python's own transaction control would begin late, and never with IMMEDIATE.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        _patiently(connection, f"PRAGMA {pragma}")


def _configure_reader(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - any driver
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        if not pragma.startswith("journal"):
            connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    _patiently(connection.connection.driver_connection, statement)


def _patiently(connection: Any, statement: str) -> None:  # noqa: ANN401 - any driver
    """Execute, as often as it takes while others write.

    SQLite's own waiting is not fair, so one may be left out; and it does not wait at all where two
    turn a database to WAL at once.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        else:
            return
