"""Where a registry is and how large: what belongs into a report of a fault, and no secret."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Table, func, select, text

from ..database import migrate, schema
from ..store import Store
from . import files


@dataclass(frozen=True)
class Facts:
    """Place and size of a registry; `database` is its URL without password and options."""

    database: str
    server: str
    schema: str | None
    blobs_folder: Path
    database_bytes: int
    blobs: int
    blob_bytes: int
    patches: int
    versions: int
    evaluations: int
    entries: int


def gather(store: Store) -> Facts:
    """The facts as they are now."""
    sizes = [file.size for file in files.stored(store.blobs)]
    with store.database.reading() as connection:
        return Facts(
            database=store.database.url.set(query={}).render_as_string(hide_password=True),
            server=_server(connection),
            schema=migrate.current(connection),
            blobs_folder=store.blobs.root,
            database_bytes=_database_size(store, connection),
            blobs=len(sizes),
            blob_bytes=sum(sizes),
            patches=_count(connection, schema.patch),
            versions=_count(connection, schema.version),
            evaluations=_count(connection, schema.evaluation),
            entries=_count(connection, schema.ledger),
        )


def _server(connection: Connection) -> str:
    version = connection.dialect.server_version_info or ()
    return f"{connection.dialect.name} {'.'.join(map(str, version))}"


def _database_size(store: Store, connection: Connection) -> int:
    file = store.database.file
    if file is None:
        query = text("SELECT pg_database_size(current_database())")
        return int(connection.scalar(query) or 0)
    parts = (file, file.with_name(f"{file.name}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def _count(connection: Connection, table: Table) -> int:
    return int(connection.scalar(select(func.count()).select_from(table)) or 0)
