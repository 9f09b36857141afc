"""Bring a database to the schema that this weightpatch knows, also from an installed wheel."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from . import schema
from .database import Database
from .errors import RegistryMissing, SchemaTooNew, SchemaTooOld

VERSION_TABLE = "alembic_version"


def upgrade(database: Database) -> None:
    """Run the migrations that are missing, all or none; raises SchemaTooNew, DatabaseFailed."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    with database.migrating() as connection:
        if _refuse_newer(current(connection)) == schema.REVISION:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_current(connection: Connection) -> None:
    """Raise RegistryMissing, SchemaTooOld or SchemaTooNew unless the schema is this one."""
    revision = _refuse_newer(current(connection))
    if revision is None:
        raise RegistryMissing(
            "the database holds no registry", hint="make one with: weightpatch init"
        )
    if revision != schema.REVISION:
        raise SchemaTooOld(
            f"the registry has schema {revision}, this weightpatch needs {schema.REVISION}",
            hint="upgrade it with: weightpatch init; older programs cannot read it afterwards",
        )


def current(connection: Connection) -> str | None:
    """The revision of the database's schema, or None where there is no registry."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return None if revision is None else str(revision)


def scripts() -> Path:
    """The folder of the migrations, within the installed package."""
    from .. import migrations

    return Path(migrations.__path__[0])


def _refuse_newer(revision: str | None) -> str | None:
    if revision is not None and revision > schema.REVISION:
        raise SchemaTooNew(
            f"the registry has schema {revision}, this weightpatch knows {schema.REVISION}",
            why="it was made or upgraded by a newer weightpatch",
            hint="install the newest weightpatch: pip install --upgrade weightpatch",
        )
    return revision
