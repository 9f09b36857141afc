"""Bring a database to the schema that this weightpatch knows, also from an installed wheel."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from ..errors import DatabaseFailed, RegistryMissing, SchemaTooNew, SchemaTooOld
from . import schema
from .connections import Database, file_of, locate

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parents[2] / "migrations"
_OURS = re.compile(r"[0-9]{4}")

Step = Callable[[Connection, str | None], None]


def nothing(_connection: Connection, _revision: str | None) -> None:
    """A step that does nothing."""


def state(url: str | None = None, *, home: Path) -> tuple[str | None, str]:
    """The schema that a database has, None if it holds no registry, and the one needed here.

    Raises DatabaseFailed.
    """
    if not _is_there(url, home):
        return None, schema.REVISION
    with _opened(url, home) as database, database.reading() as connection:
        return current(connection), schema.REVISION


def run(database: Database, *, before: Step = nothing, after: Step = nothing) -> str | None:
    """Run the migrations that are missing, all or none; gives the revision that was there.

    Both steps are called with the connection and the revision found, within the same transaction:
    `before` if an older registry is there, `after` in the end, also if nothing was to be done.
    Raises SchemaTooNew, DatabaseFailed, and what they raise.
    """
    from alembic import command

    with database.migrating() as connection:
        revision = current(connection)
        _refuse_newer(revision)
        if revision != schema.REVISION:
            if revision is not None:
                before(connection, revision)
            command.upgrade(_config(connection), "head")
        after(connection, revision)
    return revision


def require_registry(connection: Connection) -> None:
    """Raise RegistryMissing unless there is a registry, of whatever schema."""
    _require_registry(current(connection))


def require_current(connection: Connection) -> None:
    """Raise RegistryMissing, SchemaTooOld or SchemaTooNew unless the schema is this one."""
    revision = current(connection)
    _require_registry(revision)
    _refuse_newer(revision)
    if revision != schema.REVISION:
        raise SchemaTooOld(
            f"the registry has schema {revision}, this weightpatch needs {schema.REVISION}",
            hint="run: weightpatch db upgrade; it keeps a copy of an SQLite database, and older "
            "programs cannot use the registry afterwards",
        )


def current(connection: Connection) -> str | None:
    """The revision of the database's schema, or None where there is no registry.

    Raises DatabaseFailed for the database of another program.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision is not None and not _OURS.fullmatch(str(revision)):
        raise DatabaseFailed(
            "the database belongs to another program",
            why="it has migrations that are not of weightpatch",
            hint="give the registry a database of its own",
        )
    return None if revision is None else str(revision)


def _config(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


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
