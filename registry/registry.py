"""The registry: its verbs, each a few lines over the modules beside this one."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, and_, select

from ..patches.checkpoint import Checkpoint
from ..patches.digests import sha256
from ..patches.evaluation.base import Evaluation
from ..patches.manifest import BaseRecord, FileRecord, Manifest
from ..patches.patch import DELTA, MANIFEST, REQUESTS, Draft, Patch, content_digest, file_record
from ..patches.requests import EditRequest
from ..patches.safetensors_file import read_header
from . import bases, bounds, evaluations, ledger, migrate, schema, storing, versions
from .attestations import Attestation
from .bases import BaseInfo
from .blobs import BlobStore
from .database import Database, file_of, locate
from .errors import NotFound, RegistryMissing, StoreFailed, VersionClash
from .evaluations import EvaluationInfo
from .events import Event
from .ledger import Ledger, LedgerEntry, LedgerReport, Subject
from .refs import ByName, parse
from .versions import VersionInfo

__all__ = [
    "BaseInfo",
    "EvaluationInfo",
    "LedgerEntry",
    "LedgerReport",
    "Registry",
    "Subject",
    "VersionInfo",
]

BLOBS = "blobs"
_ATTEMPTS = 5


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)


class Registry:
    """What is known about patches, in a database with a folder of blobs beside it.

        with Registry.open(home=home, actor="ada") as registry:
            registry.resolve("acme/capitals").digest

    Every change and its ledger entry commit together. One registry serves any number of threads of
    one process. Besides the errors that they name, all verbs may raise DatabaseFailed.
    """

    def __init__(self, database: Database, blobs: BlobStore, journal: Ledger) -> None:
        self.blobs = blobs
        self._database = database
        self._ledger = journal

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        home: Path,
        actor: str,
        now: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Open the registry in `home`, or the one whose database is at `url`.

        Raises RegistryMissing, SchemaTooOld, SchemaTooNew, DatabaseFailed, and NameRefused for an
        actor whose name cannot be printed.
        """
        location = locate(url, home)
        file = file_of(location)
        if file is not None and not file.is_file():
            raise RegistryMissing(
                f"there is no registry at {file}",
                hint="make one with: weightpatch init; or name another place by WEIGHTPATCH_HOME",
            )
        registry = cls(Database(location), BlobStore(home / BLOBS), _journal(actor, now))
        try:
            with registry._database.reading() as connection:
                migrate.require_current(connection)
        except BaseException:
            registry.close()
            raise
        return registry

    @classmethod
    def create(
        cls,
        url: str | None = None,
        *,
        home: Path,
        actor: str,
        now: Callable[[], datetime] = utc_now,
    ) -> Self:
        """Make a registry, or open one that is there and upgrade its schema if it is old.

        Raises SchemaTooNew, StoreFailed, DatabaseFailed, NameRefused.
        """
        location = locate(url, home)
        journal = _journal(actor, now)
        try:
            for folder in (home / BLOBS, (file_of(location) or home / FILE_HERE).parent):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreFailed(f"{home} cannot be made: {error.strerror}") from error
        registry = cls(Database(location), BlobStore(home / BLOBS), journal)
        try:
            migrate.upgrade(registry._database)
            with registry._database.writing() as connection:
                if not ledger.read(connection, limit=1):
                    journal.append(connection, Event.REGISTRY_CREATE, Subject("registry"))
        except BaseException:
            registry.close()
            raise
        return registry
