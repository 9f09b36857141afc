"""Bring a database to the schema that this weightpatch knows, also from an installed wheel."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ..errors import RegistryMissing, SchemaTooNew, SchemaTooOld
from . import schema
from .connections import Database, file_of, locate

SCRIPTS = Path(__file__).parents[2] / "migrations"


def state(url: str | None = None, *, home: Path) -> tuple[str | None, str]:
    """The schema that a database has, None if it holds no registry, and the one needed here.

    Raises DatabaseFailed.
    """
    if not _is_there(url, home):
        return None, schema.REVISION
    with _opened(url, home) as database, database.reading() as connection:
        return current(connection), schema.REVISION


def upgrade(url: str | None = None, *, home: Path) -> str:
    """Bring a registry's schema up to date, and give its revision.

    Raises RegistryMissing, SchemaTooNew, DatabaseFailed.
    """
    with _opened(url, home) as database:
        with database.reading() as connection:
            _require_registry(current(connection))
        run(database)
    return schema.REVISION


def run(database: Database) -> None:
    """Run the migrations that are missing, all or none; raises SchemaTooNew, DatabaseFailed."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    with database.migrating() as connection:
        revision = current(connection)
        _refuse_newer(revision)
        if revision != schema.REVISION:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def require_current(connection: Connection) -> None:
    """Raise RegistryMissing, SchemaTooOld or SchemaTooNew unless the schema is this one."""
    revision = current(connection)
    _require_registry(revision)
    _refuse_newer(revision)
    if revision != schema.REVISION:
        raise SchemaTooOld(
            f"the registry has schema {revision}, this weightpatch needs {schema.REVISION}",
            hint="run weightpatch db upgrade; older programs cannot use the registry afterwards",
        )


def current(connection: Connection) -> str | None:
    """The revision of the database's schema, or None where there is no registry."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)


@contextmanager
def _opened(url: str | None, home: Path) -> Iterator[Database]:
    if not _is_there(url, home):
        _require_registry(None)
    database = Database(locate(url, home))
    try:
        yield database
    finally:
        database.close()


def _is_there(url: str | None, home: Path) -> bool:
    file = file_of(locate(url, home))
    return file is None or file.is_file()


def _require_registry(revision: str | None) -> None:
    if revision is None:
        raise RegistryMissing("there is no registry here", hint="make one with: weightpatch init")


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision > schema.REVISION:
        raise SchemaTooNew(
            f"the registry has schema {revision}, this weightpatch knows {schema.REVISION}",
            why="it was made or upgraded by a newer weightpatch",
            hint="install the newest weightpatch: pip install --upgrade weightpatch",
        )
