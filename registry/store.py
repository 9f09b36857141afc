"""What a registry works with: a database, a folder of blobs, and a ledger to write in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

from sqlalchemy import URL

from .blobs import BlobStore
from .database import migrate
from .database.connections import Database, file_of, locate
from .errors import no_registry
from .ledger import entries
from .ledger.entries import Ledger, Subject
from .ledger.events import Event

BLOBS = "blobs"
ATTEMPTS = 5
"""How often a write is begun anew when a blob was taken away under it."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Store:
    """The parts of one registry, opened."""

    database: Database
    blobs: BlobStore
    ledger: Ledger

    @classmethod
    def open(cls, url: str | None, home: Path, actor: str, now: Clock) -> Self:
        """Open what is there; raises RegistryMissing, SchemaTooOld, SchemaTooNew, NameRefused."""
        location = locate(url, home)
        file = file_of(location)
        if file is not None and not file.is_file():
            raise no_registry(file)
        store = cls._at(location, home, actor, now)
        try:
            with store.database.reading() as connection:
                migrate.require_current(connection)
        except BaseException:
            store.database.close()
            raise
        return store

    @classmethod
    def create(cls, url: str | None, home: Path, actor: str, now: Clock) -> Self:
        """Make what is missing, and upgrade the schema; raises SchemaTooNew, OSError."""
        location = locate(url, home)
        store = cls._at(location, home, actor, now)
        file = file_of(location)
        try:
            for folder in (home / BLOBS, file.parent if file else home):
                folder.mkdir(parents=True, exist_ok=True)
            migrate.run(store.database)
            with store.database.writing() as connection:
                if not entries.read(connection, limit=1):
                    store.ledger.append(connection, Event.REGISTRY_CREATE, Subject("registry"))
        except BaseException:
            store.database.close()
            raise
        return store

    @classmethod
    def _at(cls, location: URL, home: Path, actor: str, now: Clock) -> Self:
        journal = Ledger(actor, now, f"weightpatch {version('weightpatch')}")
        return cls(Database(location), BlobStore(home / BLOBS), journal)
