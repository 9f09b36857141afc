"""Connections: where the database is, and transactions that never meet "database is locked".

Writers take their turn: on SQLite by BEGIN IMMEDIATE, on PostgreSQL by an advisory lock. So what a
writer has read stays true until it commits, and the ledger's chain has no forks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from ...patches.errors import NoSpace
from .. import FILE
from ..errors import DatabaseFailed
from .media import is_full, is_read_only, read_only_url

_SQLITE = ("sqlite", "sqlite+pysqlite")
WRITER_LOCK = int.from_bytes(b"weightp", "big")

# The time-out comes first: turning to WAL may itself have to wait.
_PRAGMAS = (
    "busy_timeout=30000",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    "trusted_schema=OFF",
)


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
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise DatabaseFailed(
            f"{backend} databases are not supported", hint="use SQLite or PostgreSQL"
        )
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise DatabaseFailed(
            "a registry cannot live in memory", hint="name a file: sqlite:////folder/registry.db"
        )
    if backend == "sqlite" and (parsed.query or parsed.host or parsed.drivername not in _SQLITE):
        raise DatabaseFailed(
            "the URL of an SQLite database names its file and nothing else",
            hint="write it as sqlite:////folder/registry.db, with no driver, host or options",
        )
    return parsed


def file_of(url: URL) -> Path | None:
    """The file that an SQLite URL names, or None for a server."""
    if url.get_backend_name() != "sqlite":
        return None
    return Path(str(url.database))


class Database:
    """One database, for any number of threads, but for one process: do not carry it over a fork."""

    def __init__(self, url: URL) -> None:
        self.url = url
        file = file_of(url)
        self.is_sqlite = file is not None
        read_only = file is not None and is_read_only(file)
        self.engine = _engine(read_only_url(file) if file and read_only else url)
        self._readers: Engine = self.engine
        self._writers: Engine = self.engine
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_reader if read_only else _configure)
            event.listen(self.engine, "begin", _begin)
            self._writers = self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        else:
            self._readers = self.engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database; raises DatabaseFailed, NoSpace."""
        with self._failures(), self._readers.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; commits at the end, or does nothing.

        Raises DatabaseFailed, NoSpace.
        """
        with self._failures(), self._writers.begin() as connection:
            self._take_turn(connection)
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Like `writing`, with SQLite's foreign keys looked at only at the end.

        SQLite rebuilds a table by dropping it, which would delete the rows that refer to it; and
        the switch has no effect within a transaction. Raises DatabaseFailed.
        """
        with self._failures(), self._writers.connect() as connection:
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
        self.engine.dispose()

    def _take_turn(self, connection: Connection) -> None:
        if not self.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})

    def _enforce_foreign_keys(self, connection: Connection, state: str) -> None:
        if self.is_sqlite:
            raw: Any = connection.connection.driver_connection
            raw.execute(f"PRAGMA foreign_keys={state}")

    def _check_foreign_keys(self, connection: Connection) -> None:
        if self.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
            raise DatabaseFailed("the migration would leave rows that refer to nothing")

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            where = f"at {self.url.render_as_string(hide_password=True)}"
            if is_full(error.orig, file_of(self.url)):
                raise NoSpace(
                    f"the disk of the database is full: {error.orig}",
                    why=where,
                    hint="nothing was changed; make room and try again",
                ) from error
            raise DatabaseFailed(
                f"the database failed: {error.orig}",
                why=where,
                hint="nothing was changed; check that the database can be reached and written to; "
                "one on a read-only medium can be copied to a place that can be written to",
            ) from error


def _engine(url: URL) -> Engine:
    try:
        return create_engine(url)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise DatabaseFailed(
            f"the driver of {url.drivername} databases is not installed: {error}",
            hint='write postgresql+psycopg:// and: pip install "psycopg[binary]"',
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
        connection.execute(f"PRAGMA {pragma}")


def _configure_reader(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - any driver
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        if not pragma.startswith("journal_mode"):
            connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN"))
