"""The registry: its verbs, each a few lines over the modules beside this one."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from ..patches.checkpoints.checkpoint import Checkpoint
from ..patches.digests import is_sha256
from ..patches.evaluation.base import Evaluation, Mean
from ..patches.format.manifest import BaseRecord
from ..patches.format.names import check_patch_name
from ..patches.format.patch import MANIFEST, Draft, Patch
from ..patches.progress import Progress, silent
from . import defaults, evaluations, known_bases
from .audit import Audit
from .builds import BuildInfo
from .errors import BlobLost
from .evaluations import HERE, EvaluationInfo
from .known_bases import BaseInfo
from .ledger.checkpoints import Checkpoint as LedgerCheckpoint
from .ledger.entries import LedgerEntry, Subject
from .ledger.events import Event
from .ledger.proofs import EntryProof, GrowthProof
from .ledger.verification import LedgerReport
from .life import Life
from .store import Clock, Store, utc_now
from .transfers import TransferInfo
from .upgrading import Upgrade
from .upkeep import doctor, facts, garbage
from .upkeep.doctor import Mending
from .upkeep.facts import Facts
from .upkeep.findings import Finding
from .upkeep.garbage import GRACE, Collection
from .versions import lineage as lineages
from .versions import provenance as provenances
from .versions import publishing, reading, resolving, standing
from .versions import search as searching
from .versions.aliases import AliasMove
from .versions.lineage import Lineage
from .versions.provenance import Provenance
from .versions.query import Query
from .versions.reading import VersionInfo
from .versions.refs import DIGEST
from .versions.score_conditions import ScoreCondition
from .versions.standing import Standing

__all__ = [
    "AliasMove",
    "BaseInfo",
    "BuildInfo",
    "Collection",
    "EntryProof",
    "EvaluationInfo",
    "Event",
    "Facts",
    "Finding",
    "GrowthProof",
    "LedgerCheckpoint",
    "LedgerEntry",
    "LedgerReport",
    "Lineage",
    "Mean",
    "Mending",
    "Provenance",
    "Registry",
    "Standing",
    "Subject",
    "TransferInfo",
    "Upgrade",
    "VersionInfo",
]


class Registry(Audit, Life):
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
    def open(
        cls,
        url: str | None = None,
        *,
        home: Path | str | None = None,
        actor: str | None = None,
        now: Clock = utc_now,
    ) -> Self:
        """Open the registry in `home`, or the one whose database is at `url`.

        Blobs lie in `home` in both cases; by default it is the platform's folder for your data.
        The ledger names `actor`, by default the operating system's user. Raises RegistryMissing,
        SchemaTooOld, SchemaTooNew, and NameRefused for an actor whose name cannot be printed.
        """
        return cls(Store.open(url, *_given(home, actor), now))

    @classmethod
    def create(
        cls,
        url: str | None = None,
        *,
        home: Path | str | None = None,
        actor: str | None = None,
        now: Clock = utc_now,
        identity: str | None = None,
    ) -> Self:
        """Make a registry, or open one that is there, upgraded as `upgrade` does.

        The ledger of a new one begins with `identity`, by default a random text, which tells it
        from every other. Raises SchemaTooNew, NameRefused, OSError.
        """
        return cls(Store.create(url, *_given(home, actor), now, identity))

    @classmethod
    def upgrade(
        cls,
        url: str | None = None,
        *,
        home: Path | str | None = None,
        actor: str | None = None,
        now: Clock = utc_now,
    ) -> Upgrade:
        """Bring the schema of a registry up to date, and say what was done.

        An SQLite database is copied aside first. Raises RegistryMissing, SchemaTooNew, NameRefused,
        OSError.
        """
        return Store.upgrade(url, *_given(home, actor), now)

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
        its `is_new` false. Raises NameTooAlike, Deleted if that version was deleted, OSError, and
        InputError for a draft that could not be read back; nothing of it is stored then.
        """
        return publishing.publish(self._store, draft)

    def admit(self, patch: Patch) -> VersionInfo:
        """Store a version that was made elsewhere, with the number and digest that it has.

        A version that is here already is left as it is, its `is_new` false; blobs that it lost are
        put back. Raises VersionClash if the same number is known with another digest, Deleted if
        what it holds was deleted; NameTooAlike, OSError, and InputError, nothing being stored then.
        An operation that is not installed here is no reason to refuse a version.
        """
        return publishing.admit(self._store, patch)

    def require_admissible(self, patch: Patch) -> None:
        """Raise what `admit` would for a version that was made elsewhere; nothing is changed."""
        publishing.check(self._store, patch)

    def resolve(self, reference: str, *, to_read: bool = False) -> VersionInfo:
        """The version that `namespace/name`, `…@3`, `…@alias` or `sha256:…` means.

        A name alone means the highest number that is neither yanked nor deleted, an alias never a
        version that is, unless it is only `to_read`; a number or digest means a version whatever
        its `standing`. Raises ReferenceRefused, NameRefused, NotFound, Ambiguous, Yanked, Deleted.
        """
        with self._store.database.reading() as connection:
            return resolving.resolve(connection, reference, to_read=to_read)

    def patch(self, reference: str, *, to_read: bool = False) -> Patch:
        """Open a version from its blobs, each hashed.

        A malicious version, or one that holds such a one, is refused, unless it is only `to_read`:
        to be looked at, and neither applied, composed, scored nor sent. Raises what `resolve` does,
        Deleted, Yanked, BlobLost, and DigestMismatch for a blob that was changed.
        """
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, reference, to_read=to_read)
            if info.standing and info.standing.deleted:
                raise standing.deleted(info.label, info.standing)
            if not to_read:
                standing.require_usable(connection, [info.digest])
            files = reading.files(connection, info.digest)
        blobs = self._store.blobs
        missing = blobs.missing(files.values())
        if missing or MANIFEST not in files:
            lost = [name for name, file in files.items() if file.sha256 in missing]
            names = sorted(lost) or [MANIFEST]
            raise BlobLost(
                f"{names[0]} of {info.label} is missing, or has another size than it had",
                hint="pull the version again, which puts the file back",
            )
        blobs.require(files[MANIFEST].sha256)
        return Patch.from_files({name: blobs.path(file.sha256) for name, file in files.items()})

    def versions(
        self, *, name: str | None = None, limit: int = 50, before: str | None = None
    ) -> list[VersionInfo]:
        """A page of versions, the last that came in first, or of one patch the highest number.

        `name` is `namespace/name`. A page has at most 1,000; the next begins below the digest
        `before`, that of this page's last version. Deleted versions are left out. Raises
        NameRefused, NotFound if no version has the digest `before`.
        """
        if name is not None:
            check_patch_name(name)
        with self._store.database.reading() as connection:
            return reading.page(connection, name=name, limit=limit, before=before)

    def search(
        self,
        text: str | None = None,
        *,
        base: str | BaseRecord | Checkpoint | None = None,
        method: str | None = None,
        author: str | None = None,
        tensor: str | None = None,
        subject: str | None = None,
        scores: Iterable[str] = (),
        limit: int = 50,
        before: str | None = None,
    ) -> list[VersionInfo]:
        """A page of the versions that meet all that is given, the last that came in first.

            registry.search("mother tongue", base="org/model", scores=["locality>=0.9"])

        Each word of `text` is a word of the version's name, author, method, message, or of a
        request's subject or target; `subject` is a whole subject. Case and accents do not count.
        `base` is a name or `name@revision`, or a checkpoint, of which only those tensors are hashed
        that some version changes; then versions are found that fit it. `tensor` may hold `*`.
        A score is that of the last evaluation, on the base if one is given. Pages are those of
        `versions`; deleted versions are never found, yanked ones have a `standing`. Raises
        InputError, LimitExceeded, and NotFound if no version has the digest `before`.
        """
        query = Query(
            text=text,
            method=method,
            author=author,
            tensor=tensor,
            subject=subject,
            scores=tuple(map(ScoreCondition.parse, scores)),
        )
        return searching.find(self._store.database, query, base, limit=limit, before=before)

    def lineage(self, reference: str, *, limit: int = 1_000) -> Lineage:
        """What a version was made from and what was made from it, as far as is known here.

        Both are followed to the end, or until `limit` versions are found, the nearest first.
        Raises what `resolve` does.
        """
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, reference, to_read=True)
            return lineages.of(connection, info.digest, limit=limit)

    def provenance(self, reference: str) -> Provenance | None:
        """How a version was made: hyperparameters, seed, statistics, tools.

        None if it is not known, since its patch.json was lost when the registry was upgraded.
        Raises what `resolve` does.
        """
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, reference, to_read=True)
            return provenances.find(connection, info.digest)

    def record_evaluation(
        self,
        reference: str,
        base_fingerprint: str,
        evaluation: Evaluation,
        *,
        origin: str = HERE,
    ) -> str:
        """Store an evaluation of a version on a base, and give the digest of its attestation.

        `origin` is "here" for one that was measured here, else the place it was pulled from. The
        same evaluation again changes nothing, but that one which came from elsewhere and is then
        measured here is from here. `reference` may be a bare sha256 too. Raises what `resolve`
        does, Deleted, OSError, InputError.
        """
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, _reference(reference))
        return evaluations.record(
            self._store, info.digest, base_fingerprint, evaluation, origin=origin
        )

    def evaluations(self, reference: str) -> list[EvaluationInfo]:
        """What is known of a version's scores, the newest first; raises what `resolve` does.

        `reference` may be a bare sha256 too.
        """
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, _reference(reference), to_read=True)
            return evaluations.of_version(connection, self._store.blobs, info.digest)

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

    def collect(self, *, grace: timedelta = GRACE, dry_run: bool = True) -> Collection:
        """Take away the blobs that no living version needs; by default only say which.

        These are the files and evaluations of versions that were deleted, and what killed processes
        left; each only once nobody wanted it for as long as `grace`. Any number of processes may
        publish meanwhile. Raises LimitExceeded for a grace below zero, OSError.
        """
        return garbage.collect(self._store, grace=grace, dry_run=dry_run)

    def examine(self, *, full: bool = False, progress: Progress = silent) -> list[Finding]:
        """Compare database, ledger and blobs; gives what is wrong, and notes on what is left over.

        With `full`, every blob is hashed, and every row compared with the file it was made from.
        """
        return doctor.examine(self._store, full=full, progress=progress)

    def mend(self, *, full: bool = False, progress: Progress = silent) -> Mending:
        """Examine, and mend what can be mended, with an entry in the ledger; raises OSError."""
        return doctor.mend(self._store, full=full, progress=progress)

    def facts(self) -> Facts:
        """Where the registry is and how large: for a report of a fault."""
        return facts.gather(self._store)


def _reference(text: str) -> str:
    """A reference, for a sha256 in full that is written without saying so, too."""
    return f"{DIGEST}{text}" if is_sha256(text) else text


def _given(home: Path | str | None, actor: str | None) -> tuple[Path, str]:
    folder = defaults.home() if home is None else Path(home)
    return folder.absolute(), defaults.actor() if actor is None else actor
