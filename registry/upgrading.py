"""An older registry is brought to the schema of today: copied aside, upgraded, and written down.

All in one transaction in which nobody else writes, so that a registry is found as it was or as it
is to be, whatever happens on the way, and of two upgrades at once the second finds nothing to do.
"""

from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from sqlalchemy import Connection, select

from . import ownership
from .blobs import BlobStore
from .database import migrate, schema
from .database.backups import copy_aside
from .database.connections import Database
from .errors import DatabaseFailed
from .ledger import entries
from .ledger.entries import REGISTRY, Ledger
from .ledger.events import Event
from .versions import derived


@dataclass(frozen=True)
class Upgrade:
    """What was done: the schema that was found, None in an empty database, and the one now there.

    `copy` is the path of the SQLite database as it was, None on PostgreSQL or if nothing was done.
    """

    found: str | None
    revision: str
    copy: Path | None


def bring_up(
    database: Database, blobs: BlobStore, ledger: Ledger, identity: str | None = None
) -> Upgrade:
    """Run the migrations that are missing, and begin the ledger if it is empty.

    `identity`, by default random, tells a new ledger from all others. Raises SchemaTooNew,
    DatabaseFailed, NoSpace, OSError; nothing is changed then.
    """
    copies = []

    def before(_connection: Connection, revision: str | None) -> None:
        if database.file is not None and revision is not None:
            copies.append(copy_aside(database.file, revision, ledger.now()))

    def after(connection: Connection, revision: str | None) -> None:
        is_upgrade = revision not in (None, schema.REVISION)
        if is_upgrade:
            derived.rebuild(connection, blobs)
        if not entries.read(connection, limit=1):
            _refuse_without_past(connection)
            name = token_hex(16) if identity is None else identity
            ledger.append(connection, Event.REGISTRY_CREATE, REGISTRY, {"id": name})
        elif is_upgrade:
            detail = {"from": revision, "to": schema.REVISION}
            ledger.append(connection, Event.REGISTRY_UPGRADE, REGISTRY, detail)
        ownership.claim(connection, blobs)

    try:
        found = migrate.run(database, before=before, after=after)
    except BaseException:
        for copy in copies:
            copy.unlink(missing_ok=True)
        raise
    return Upgrade(found, schema.REVISION, copies[0] if copies else None)


def _refuse_without_past(connection: Connection) -> None:
    if connection.scalar(select(schema.patch.c.id).limit(1)) is not None:
        raise DatabaseFailed(
            "the registry holds patches, but its ledger is empty",
            why="somebody took its entries away",
            hint="nothing was changed; restore the database from a backup",
        )
