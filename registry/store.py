"""What a registry works with: a database, a folder of blobs, and a ledger to write in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

from sqlalchemy import URL

from . import upgrading
from .blobs import BlobStore
from .database import migrate
from .database.connections import Database, file_of, locate
from .errors import no_registry
from .ledger.entries import Ledger
from .upgrading import Upgrade

BLOBS = "blobs"

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
        store = cls._at(_existing(url, home), home, actor, now)
        try:
            with store.database.reading() as connection:
                migrate.require_current(connection)
        except BaseException:
            store.database.close()
            raise
        return store

    @classmethod
    def create(
        cls, url: str | None, home: Path, actor: str, now: Clock, identity: str | None = None
    ) -> Self:
        """Make what is missing, and upgrade the schema as `upgrade` does.

        `identity`, by default random, tells a new ledger from all others. Raises SchemaTooNew,
        OSError.
        """
        location = locate(url, home)
        store = cls._at(location, home, actor, now)
        file = file_of(location)
        try:
            for folder in (home / BLOBS, file.parent if file else home):
                folder.mkdir(parents=True, exist_ok=True)
            upgrading.bring_up(store.database, store.blobs, store.ledger, identity)
        except BaseException:
            store.database.close()
            raise
        return store

    @classmethod
    def upgrade(cls, url: str | None, home: Path, actor: str, now: Clock) -> Upgrade:
        """Bring what is there to the newest schema, a copy of an SQLite database kept aside.

        Raises RegistryMissing, SchemaTooNew, NameRefused, NoSpace, OSError.
        """
        store = cls._at(_existing(url, home), home, actor, now)
        try:
            with store.database.reading() as connection:
                migrate.require_registry(connection)
            return upgrading.bring_up(store.database, store.blobs, store.ledger)
        finally:
            store.database.close()

    @classmethod
    def _at(cls, location: URL, home: Path, actor: str, now: Clock) -> Self:
        journal = Ledger(actor, now, f"weightpatch {version('weightpatch')}")
        return cls(Database(location), BlobStore(home / BLOBS), journal)


def _existing(url: str | None, home: Path) -> URL:
    """Where the database is; raises RegistryMissing for a file that is not there."""
    location = locate(url, home)
    file = file_of(location)
    if file is not None and not file.is_file():
        raise no_registry(file)
    return location
