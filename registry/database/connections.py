"""Connections: where the database is, and transactions that never meet "database is locked".

Writers take their turn: on SQLite by BEGIN IMMEDIATE, on PostgreSQL by an advisory lock. So what a
writer has read stays true until it commits, and the ledger's chain has no forks.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, make_url, text
from sqlalchemy.exc import ArgumentError

from ...patches.errors import NoSpace
from .. import FILE
from ..errors import DatabaseFailed
from . import engines, statistics
from .failures import told

_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
WRITER_LOCK = int.from_bytes(b"weightp", "big")
_TURN = text("SELECT set_config('lock_timeout', :patience, true), pg_advisory_xact_lock(:key)")


def locate(url: str | None, home: Path) -> URL:
    """The database's URL: `url`, or a file in `home`; raises DatabaseFailed if it is unusable."""
    if url is None:
        return URL.create("sqlite", database=str(home / FILE))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseFailed(
            "the database's URL cannot be read",
            hint="write it as sqlite:////folder/registry.db or postgresql://user@host/name",
        ) from None
    name, _, driver = parsed.drivername.partition("+")
    if name == "sqlite":
        return _sqlite(parsed)
    if name not in _POSTGRESQL:
        raise DatabaseFailed(f"{name} databases are not supported", hint="use SQLite or PostgreSQL")
    if parsed.drivername not in _POSTGRESQL:
        raise DatabaseFailed(
            f"PostgreSQL is not reached by {driver}, but by psycopg",
            hint="write it as postgresql://user@host/name, with no driver",
        )
    if "@" in (parsed.host or ""):  # not shown: it is a part of the password
        raise DatabaseFailed(
            "the database's URL has more than one @ before the name of its host",
            hint="write an @ within a user name or a password as %40",
        )
    return parsed.set(drivername="postgresql+psycopg")


def _sqlite(url: URL) -> URL:
    if url.database in (None, "", ":memory:"):
        raise DatabaseFailed(
            "a registry cannot live in memory", hint="name a file: sqlite:////folder/registry.db"
        )
    if url.query or url.host or url.drivername not in _SQLITE:
        raise DatabaseFailed(
            "the URL of an SQLite database names its file and nothing else",
            hint="write it as sqlite:////folder/registry.db, with no driver, host or options",
        )
    return url.set(database=str(Path(str(url.database)).absolute()))


def file_of(url: URL) -> Path | None:
    """The file that an SQLite URL names, or None for a server."""
    if url.get_backend_name() != "sqlite":
        return None
    return Path(str(url.database))


class Database:
    """One database, for any number of threads, but for one process: after a fork it refuses."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.file = file_of(url)
        self.is_sqlite = self.file is not None
        self._process = os.getpid()
        self._has_written = False
        self.engine: Engine
        self._readers: Engine
        self._writers: Engine
        if self.file is not None:
            self.engine = self._readers = engines.sqlite_engine(self.file)
            self._writers = self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        else:
            self.engine = engines.postgresql_engine(url)
            # Whatever the server's default: a writer must see what the one before it committed.
            self._writers = self.engine.execution_options(isolation_level="READ COMMITTED")
            self._readers = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database; raises DatabaseFailed, NoSpace."""
        with self._guarded(), self._readers.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; commits at the end, or does nothing.

        Raises DatabaseFailed, also where the others let it wait for more than a minute; NoSpace.
        """
        with self._guarded(), self._writers.begin() as connection:
            self._take_turn(connection)
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Like `writing`, with SQLite's foreign keys looked at only at the end.

        SQLite rebuilds a table by dropping it, which would delete the rows that refer to it; and
        the switch has no effect within a transaction. Raises DatabaseFailed, NoSpace.
        """
        with self._guarded(), self._writers.connect() as connection:
            self._enforce_foreign_keys(connection, "OFF")
            try:
                with connection.begin():
                    self._take_turn(connection)
                    yield connection
                    self._check_foreign_keys(connection)
            finally:
                self._enforce_foreign_keys(connection, "ON")

    def close(self) -> None:
        """Close all connections."""
        if os.getpid() != self._process:
            self.engine.dispose(close=False)
            return
        if self.is_sqlite and self._has_written:
            self._refresh_statistics()
        self.engine.dispose()

    def _take_turn(self, connection: Connection) -> None:
        self._has_written = True
        if not self.is_sqlite:
            patience = f"{engines.PATIENCE}s"
            connection.execute(_TURN, {"patience": patience, "key": WRITER_LOCK})

    def _refresh_statistics(self) -> None:
        with (
            suppress(sqlite3.Error, DatabaseFailed, NoSpace),
            self._guarded(),
            closing(self.engine.raw_connection()) as connection,
        ):
            raw: Any = connection.driver_connection
            statistics.refresh(raw)

    def _enforce_foreign_keys(self, connection: Connection, state: str) -> None:
        if self.is_sqlite and not connection.invalidated:
            raw: Any = connection.connection.driver_connection
            raw.execute(f"PRAGMA foreign_keys={state}")

    def _check_foreign_keys(self, connection: Connection) -> None:
        if self.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise DatabaseFailed("the migration would leave rows that refer to nothing")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        if os.getpid() != self._process:
            raise DatabaseFailed(
                "the registry was opened by another process, of which this one is a copy",
                why="two processes cannot share one connection to a database",
                hint="open the registry again in this process",
            )
        with told(self.url, self.file):
            yield
