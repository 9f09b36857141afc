"""The registry: its verbs, each a few lines over the modules beside this one."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..patches.checkpoints.checkpoint import Checkpoint
from ..patches.evaluation.base import Evaluation
from ..patches.format.manifest import BaseRecord
from ..patches.format.names import check_patch_name
from ..patches.format.patch import MANIFEST, Draft, Patch
from . import evaluations, known_bases
from .errors import BlobLost
from .evaluations import HERE, EvaluationInfo
from .known_bases import BaseInfo
from .ledger import chain, entries
from .ledger.chain import LedgerReport
from .ledger.entries import LedgerEntry, Subject
from .ledger.events import Event
from .store import Clock, Store, utc_now
from .versions import publishing, reading, resolving
from .versions.reading import VersionInfo
from .versions.refs import ByName, parse

__all__ = [
    "BaseInfo",
    "EvaluationInfo",
    "Event",
    "LedgerEntry",
    "LedgerReport",
    "Registry",
    "Subject",
    "VersionInfo",
]


class Registry:
    """What is known about patches, in a database with a folder of blobs beside it.

        with Registry.open(home=home, actor="ada") as registry:
            registry.resolve("acme/capitals").digest

    Every change and its ledger entry commit together. One registry serves any number of threads of
    one process. Besides the errors that they name, all verbs may raise DatabaseFailed, and those
    that write NoSpace.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def open(cls, url: str | None = None, *, home: Path, actor: str, now: Clock = utc_now) -> Self:
        """Open the registry in `home`, or the one whose database is at `url`.

        Raises RegistryMissing, SchemaTooOld, SchemaTooNew, and NameRefused for an actor whose name
        cannot be printed.
        """
        return cls(Store.open(url, home, actor, now))

    @classmethod
    def create(
        cls, url: str | None = None, *, home: Path, actor: str, now: Clock = utc_now
    ) -> Self:
        """Make a registry, or open one that is there, its schema brought up to date.

        Raises SchemaTooNew, NameRefused, OSError.
        """
        return cls(Store.create(url, home, actor, now))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the database."""
        self._store.database.close()

    def publish(self, draft: Draft) -> VersionInfo:
        """Store a draft as the next version of its patch.

        If a version of the patch has the same delta, requests and base, it is given back instead,
        its `is_new` false. Raises NameTooAlike, OSError, and InputError for a draft that could
        not be read back; nothing of it is stored then.
        """
        return publishing.publish(self._store, draft)

    def admit(self, patch: Patch) -> VersionInfo:
        """Store a version that was made elsewhere, with the number and digest that it has.

        A version that is here already is left as it is, its `is_new` false; blobs that it lost are
        put back. Raises VersionClash if the same number is known with another digest; NameTooAlike,
        OSError, and InputError, nothing being stored then. An operation that is not installed here
        is no reason to refuse a version.
        """
        return publishing.admit(self._store, patch)

    def resolve(self, reference: str) -> VersionInfo:
        """The version that `namespace/name`, `namespace/name@3` or `sha256:…` means.

        A name alone means its highest number. Raises ReferenceRefused, NameRefused, NotFound,
        Ambiguous.
        """
        with self._store.database.reading() as connection:
            return resolving.resolve(connection, reference)

    def patch(self, reference: str) -> Patch:
        """Open a version from its blobs, each hashed.

        Raises what `resolve` does, BlobLost, and DigestMismatch for a blob that was changed.
        """
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, reference)
            files = reading.files(connection, info.digest)
        blobs = self._store.blobs
        missing = blobs.missing(files.values())
        if missing:
            names = sorted(name for name, file in files.items() if file.sha256 in missing)
            raise BlobLost(
                f"{names[0]} of {info.label} is missing, or has another size than it had",
                hint="pull the version again, which puts the file back",
            )
        blobs.require(files[MANIFEST].sha256)
        return Patch.from_files({name: blobs.path(file.sha256) for name, file in files.items()})

    def versions(
        self,
        *,
        name: str | None = None,
        text: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[VersionInfo]:
        """A page of versions, the last that came in first.

        `name` is `namespace/name`; `text` stands in a name, message, author or subject, whatever
        its case. A page has at most 1,000; the next begins below the digest `before`, that of this
        page's last version. Raises NameRefused, NotFound if no version has the digest `before`.
        """
        if name is not None:
            check_patch_name(name)
        with self._store.database.reading() as connection:
            return reading.page(connection, name=name, text=text, limit=limit, before=before)

    def record_evaluation(
        self,
        version_digest: str,
        base_fingerprint: str,
        evaluation: Evaluation,
        *,
        origin: str = HERE,
    ) -> str:
        """Store an evaluation of a version on a base, and give the digest of its attestation.

        `origin` is "here" for one that was measured here, else the place it was pulled from. The
        same evaluation again changes nothing, but that one which came from elsewhere and is then
        measured here is from here. Raises NotFound if there is no such version; OSError,
        InputError.
        """
        return evaluations.record(
            self._store, version_digest, base_fingerprint, evaluation, origin=origin
        )

    def evaluations(self, version_digest: str) -> list[EvaluationInfo]:
        """What is known of a version's scores, the newest first; raises NotFound."""
        with self._store.database.reading() as connection:
            return evaluations.of_version(connection, self._store.blobs, version_digest)

    def record_base(self, checkpoint: Checkpoint, *, location: str) -> BaseInfo:
        """Remember a checkpoint, with the digests of all its tensors, and where it lies.

        A place where another checkpoint lay now holds this one. Raises InputError.
        """
        return known_bases.record(self._store, checkpoint, location)

    def note_base(self, base: BaseRecord, *, location: str) -> BaseInfo:
        """Remember where a checkpoint lies that has the tensors of `base`, without hashing others.

        They are added to what is known of the checkpoint there. Raises InputError.
        """
        return known_bases.note(self._store, base, location)

    def find_base(self, base: BaseRecord) -> list[Path]:
        """Folders in which a checkpoint was seen whose tensors are those of `base`.

        The last seen comes first; at the end stand those of which other tensors are known only, and
        which may be `base` by their name. What is in the folder now may be something else.
        """
        with self._store.database.reading() as connection:
            return [place for place in known_bases.places(connection, base) if place.is_dir()]

    def record(
        self,
        action: str,
        label: str,
        digest: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Write in the ledger what was done outside of the registry, as `Event` names it.

        The entry is found under the version or patch that `label` or `digest` names. Raises
        ManifestError for a detail that is not JSON, LimitExceeded; ValueError for another action.
        """
        with self._store.database.writing() as connection:
            self._store.ledger.append(connection, Event(action), Subject(label, digest), detail)

    def log(
        self, *, reference: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[LedgerEntry]:
        """Entries of the ledger, the newest first, those below number `before`.

        `reference` narrows them to one version or, if it is a name alone, to all versions of the
        patch. Raises what `resolve` does.
        """
        name = digest = None
        with self._store.database.reading() as connection:
            if reference is not None:
                meant, info = parse(reference), resolving.resolve(connection, reference)
                whole = isinstance(meant, ByName) and meant.number is None
                name, digest = (info.name, None) if whole else (None, info.digest)
            return entries.read(connection, patch=name, digest=digest, before=before, limit=limit)

    def verify_ledger(self) -> LedgerReport:
        """Recompute the ledger's chain, and see whether the database still guards it.

        `ok` says whether all is well. If not, `flaw` says in words what is wrong, `broken` is the
        number of the first broken entry, None if only triggers were dropped or changed, and
        `unguarded` names these. Reads every entry. A cut tail does not show in itself: compare
        `head` with a copy kept elsewhere.
        """
        with self._store.database.reading() as connection:
            return chain.verify(connection)
