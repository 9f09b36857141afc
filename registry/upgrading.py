"""An older registry is brought to the schema of today: copied aside, upgraded, and written down.

All in one transaction in which nobody else writes, so that a registry is found as it was or as it
is to be, whatever happens on the way, and of two upgrades at once the second finds nothing to do.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from .blobs import BlobStore
from .database import migrate, schema
from .database.backups import copy_aside
from .database.connections import Database
from .ledger import entries
from .ledger.entries import Ledger, Subject
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


def bring_up(database: Database, blobs: BlobStore, ledger: Ledger) -> Upgrade:
    """Run the migrations that are missing.

    Raises SchemaTooNew, DatabaseFailed, NoSpace, OSError; nothing is changed then.
    """
    copies = []

    def before(_connection: Connection, revision: str) -> None:
        if database.file is not None:
            copies.append(copy_aside(database.file, revision, ledger.now()))

    def after(connection: Connection, revision: str) -> None:
        derived.rebuild(connection, blobs)
        if entries.read(connection, limit=1):
            detail = {"from": revision, "to": schema.REVISION}
            ledger.append(connection, Event.REGISTRY_UPGRADE, Subject("registry"), detail)

    found = migrate.run(database, before=before, after=after)
    return Upgrade(found, schema.REVISION, copies[0] if copies else None)
