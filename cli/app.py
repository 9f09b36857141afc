"""What every command shares: configuration, output, registry, the way to patches and bases."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..patches.errors import BaseMismatch, InputError, WeightpatchError
from ..patches.progress import Progress
from ..registry.paths import user_path
from ..registry.remotes.location import ON_HUB
from .config import Config
from .output import Output
from .progress import progress_bar
from .scoring import show_means

if TYPE_CHECKING:
    from ..patches.builds.record import Applied, BuildRecord
    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..patches.evaluation.base import Evaluation
    from ..patches.format.manifest import BaseRecord
    from ..patches.format.patch import Patch
    from ..registry.registry import EvaluationInfo, Registry, VersionInfo


Record = Callable[[Callable[["Registry"], object]], None]

_TRIED = 50
"""Versions of a patch that are tried on a base which the one given does not fit."""


@dataclass(frozen=True)
class App:
    """One run of the command line."""

    config: Config
    output: Output

    def registry(self) -> "Registry":
        """The registry, opened; use it in a `with` block. Raises RegistryMissing."""
        from ..registry import FILE
        from ..registry.errors import no_registry

        if not self.has_registry():
            raise no_registry(self.config.home / FILE)  # without waiting for SQLAlchemy
        from ..registry.registry import Registry

        return Registry.open(
            self.config.database, home=self.config.home, actor=self.config.actor, now=now
        )

    def progress(self) -> AbstractContextManager[Progress]:
        """A progress callback for a `with` block."""
        return progress_bar(quiet=self.output.as_json)

    def base(self, spec: str) -> "Checkpoint":
        """The checkpoint that BASE names: a folder, or a Hub id with revision."""
        from .bases import named_base

        return named_base(spec, self.config, self.output)

    def patches(self, references: Sequence[str], *, to_read: bool = False) -> "list[Patch]":
        """The versions that REFs name: folders as they are, all else from the registry.

        What there is to say against a version is told; a malicious one is refused unless it is only
        to be read, also one in a folder, if the registry knows it.
        """
        if all(map(is_folder, references)) and (to_read or not self.has_registry()):
            return [_open_folder(reference) for reference in references]
        with self.registry() as registry:
            return [self._opened(registry, one, to_read=to_read) for one in references]

    def _opened(self, registry: "Registry", reference: str, *, to_read: bool) -> "Patch":
        from ..registry.errors import NotFound

        if not is_folder(reference):
            info = registry.resolve(reference, to_read=to_read)
            patch = registry.patch(f"sha256:{info.digest}", to_read=to_read)
            self.caution(info, to_read=to_read)
            return patch
        patch = _open_folder(reference)
        if not to_read:
            registry.require_usable(held(patch))
            with suppress(NotFound):
                self.caution(registry.resolve(f"sha256:{patch.digest}"))
        return patch

    def caution(self, info: "VersionInfo", *, to_read: bool = False) -> None:
        """Say that a version was withdrawn and, to its users, which one takes its place."""
        if info.standing:
            self.output.note(f"warning: {info.label} was {info.standing}")
        if info.superseded_by and not to_read:
            newer = " and ".join(info.superseded_by)
            self.output.note(f"note: {info.label} is superseded by {newer}")

    def known(self, reference: str) -> "VersionInfo | None":
        """What the registry knows of the version that REF names, a folder's too; raises NotFound.

        None for a folder that it does not know, or without a registry.
        """
        from ..registry.errors import NotFound

        if not is_folder(reference):
            with self.registry() as registry:
                return registry.resolve(reference, to_read=True)
        if not self.has_registry():
            return None
        with self.registry() as registry, suppress(NotFound):
            return registry.resolve(f"sha256:{_open_folder(reference).digest}")
        return None

    def digest(self, reference: str | None) -> str | None:
        """The digest of the version that REF names, None for none."""
        if reference is None:
            return None
        if is_folder(reference):
            return _open_folder(reference).digest
        with self.registry() as registry:
            return registry.resolve(reference).digest

    def require_usable(self, digests: Sequence[str]) -> None:
        """Raise Yanked if the registry, if there is one, knows one of these as malicious."""
        if self.has_registry():
            with self.registry() as registry:
                registry.require_usable(digests)

    def has_registry(self) -> bool:
        """Whether a database is named, or the registry's own is there."""
        from ..registry import FILE

        return self.config.database is not None or (self.config.home / FILE).is_file()

    def evaluations(self, patch: "Patch") -> "list[EvaluationInfo]":
        """What the registry knows of how well a version works; nothing if there is no registry."""
        from ..registry.errors import NotFound, RegistryMissing

        try:
            with self.registry() as registry:
                return registry.evaluations(patch.digest)
        except (NotFound, RegistryMissing):
            return []

    @contextmanager
    def ledger(self) -> "Iterator[Record]":
        """Give a function that lets the registry write down what was done.

        Enter before the work, so that a registry that cannot be opened stops it. Without a registry
        nothing is written.
        """
        from ..registry.errors import RegistryMissing

        try:
            registry = self.registry()
        except RegistryMissing:
            yield lambda _write: None
            return

        def record(write: "Callable[[Registry], object]") -> None:
            try:
                write(registry)
            except WeightpatchError as error:
                error.message = f"the work is done, but is not in the ledger: {error.message}"
                raise

        with registry:
            yield record

    def announce(
        self,
        kind: str,
        version: "VersionInfo",
        evaluations: "Sequence[Evaluation]" = (),
        *,
        supersedes: str | None = None,
        details: "Mapping[str, object]" = MappingProxyType({}),
    ) -> None:
        """Say which version came of a command, and how well it works.

        `details` stand in the JSON document alone.
        """
        scores = {"evaluations": [one.to_json() for one in evaluations]} if evaluations else {}
        self.output.data(kind, {**asdict(version), **scores, **details})
        state = "stored as" if version.is_new else "already known as"
        self.output.line(f"{state} {version.label}  sha256:{version.digest}")
        self.caution(version)
        if version.supersedes != (supersedes or version.supersedes):
            self.output.note(
                "warning: a version never changes, so it does not say that it supersedes another"
            )
        for evaluation in evaluations:
            self.output.line()
            show_means(self.output, evaluation.means())

    def base_for(self, patches: "Sequence[Patch]", spec: str | None) -> "Checkpoint":
        """The base given, or the one that the registry remembers for these patches.

        Raises BaseMismatch, with a version that would fit if the registry knows one; whether the
        patches fit a build is left to those who know its record.
        """
        from .bases import unknown_base

        if spec is not None:
            found = self.base(spec)
            self._require_fit(patches, found)
            return found
        places = self._places(patches[0])
        if remembered := self._first(places, lambda base: matched(patches, base)):
            return remembered
        if alone := self._first(places, lambda base: matched(patches[:1], base)):
            self._require_one_base(patches, alone)
        raise unknown_base(patches[0])

    def base_under(self, record: "BuildRecord", spec: str | None) -> "Checkpoint | None":
        """The base given, or one that the registry remembers and that a build was made from."""
        from ..patches.builds.underlying import require_base_of
        from ..patches.format.manifest import BaseRecord
        from ..registry.errors import RegistryMissing

        if spec is not None:
            return self.base(spec)
        wanted = BaseRecord(record.base_id, record.base_revision, None, record.tensors, result={})
        try:
            with self.registry() as registry:
                places = registry.find_base(wanted)
        except RegistryMissing:
            return None
        return self._first(places, lambda base: require_base_of(record, base))

    def remember(self, checkpoint: "Checkpoint", patches: "Sequence[Patch]") -> None:
        """Note where the base of some patches lies, if there is a registry.

        Nothing is hashed but what the patches touch. A build is not remembered. What hinders it is
        told, and is no reason to fail when the work is done.
        """
        from ..patches.builds.record import is_build
        from ..registry.errors import RegistryMissing

        if is_build(checkpoint.path):
            return
        location = str(checkpoint.path.resolve())
        try:
            with self.registry() as registry:
                registry.note_base(matched(patches, checkpoint), location=location)
        except RegistryMissing:
            return
        except WeightpatchError as error:
            self.output.note(f"note: where the base lies is not remembered: {error.message}")

    def versions_at_hand(self, versions: "Sequence[Applied]") -> "list[Patch]":
        """Those of some versions that the registry holds; none if there is no registry."""
        from ..registry.errors import Deleted, NotFound, RegistryMissing

        found = []
        try:
            with self.registry() as registry:
                for version in versions:
                    with suppress(NotFound, Deleted):
                        found.append(registry.patch(f"sha256:{version.digest}", to_read=True))
        except RegistryMissing:
            return []
        return found

    def versions_known(self, digests: Iterable[str]) -> "dict[str, VersionInfo]":
        """What the registry, if there is one, knows of the versions with these digests."""
        from ..registry.errors import NotFound

        found: dict[str, VersionInfo] = {}
        if not self.has_registry():
            return found
        with self.registry() as registry:
            for digest in digests:
                with suppress(NotFound):
                    found[digest] = registry.resolve(f"sha256:{digest}", to_read=True)
        return found

    def _require_fit(self, patches: "Sequence[Patch]", checkpoint: "Checkpoint") -> None:
        from ..patches.builds.record import is_build

        if is_build(checkpoint.path):
            return
        for patch in patches:
            try:
                matched([patch], checkpoint)
            except BaseMismatch as error:
                if other := self._fitting(patch, checkpoint):
                    error.hint = f"{other} is for this base"
                raise

    def _require_one_base(self, patches: "Sequence[Patch]", base: "Checkpoint") -> None:
        """Raise BaseMismatch that names a patch that does not fit the base of the first."""
        first = patches[0]
        for other in patches[1:]:
            try:
                matched([other], base)
            except BaseMismatch as error:
                raise BaseMismatch(
                    f"no one base fits both {first.label} and {other.label}",
                    why=f"{base.id} is the base of {first.label}; {error.why}",
                    hint=self._on_one_base(first, other, base) or "take patches of one base",
                ) from None

    def _on_one_base(self, first: "Patch", other: "Patch", base: "Checkpoint") -> str | None:
        """Which version of one of two patches is for the base of the other, if any is known."""
        if version := self._fitting(other, base):
            return f"{version} is for the base of {first.label}"
        places = self._places(other)
        below = self._first(places, lambda place: matched([other], place))
        if below and (version := self._fitting(first, below)):
            return f"{version} is for the base of {other.label}"
        return None

    def _fitting(self, patch: "Patch", checkpoint: "Checkpoint") -> str | None:
        """The newest version of the same patch that fits the checkpoint and may be used."""
        if not self.has_registry():
            return None
        with self.registry() as registry:
            for info in registry.versions(name=patch.manifest.name, limit=_TRIED):
                if info.standing:
                    continue
                with suppress(WeightpatchError):  # of a version that cannot be read, or is another
                    matched([registry.patch(f"sha256:{info.digest}")], checkpoint)
                    return info.label
        return None

    def _places(self, patch: "Patch") -> list[Path]:
        """Where a base of a patch was last seen."""
        with self.registry() as registry:
            return [place for base in patch.manifest.bases for place in registry.find_base(base)]

    def _first(
        self, places: Sequence[Path], require: "Callable[[Checkpoint], object]"
    ) -> "Checkpoint | None":
        """The first checkpoint in a remembered place that is still there and still what it was.

        `require` raises InputError for one that is not.
        """
        for place in places:
            try:
                checkpoint = self.base(str(place))
                require(checkpoint)
            except InputError:
                continue
            return checkpoint
        return None


def matched(patches: "Sequence[Patch]", checkpoint: "Checkpoint") -> "BaseRecord":
    """What some patches say of a checkpoint, under the first one's name; raises BaseMismatch."""
    from ..patches.base_match import match_base

    bases = [match_base(patch, checkpoint) for patch in patches]
    tensors = {name: tensor for base in bases for name, tensor in base.tensors.items()}
    return replace(bases[0], tokenizer=None, tensors=tensors, result={})


def now() -> datetime:
    """The time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def timestamp() -> str:
    """The time as manifests spell it, 2026-01-31T12:00:00Z."""
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def held(patch: "Patch") -> list[str]:
    """Digests of a version and of the deltas that it holds."""
    from ..patches.format.patch import DELTA

    operations = [one for records in patch.manifest.operations.values() for one in records]
    sources = [one.source for one in operations if one.source]
    return [patch.digest, patch.manifest.files[DELTA].sha256, *sources]


def is_folder(reference: str) -> bool:
    """Whether a reference means a folder: what can be a name or digest is never taken for one."""
    return not reference.startswith(("sha256:", ON_HUB)) and (
        reference.startswith((".", "/", "~"))
        or (reference.count("/") != 1 and (Path(reference) / "patch.json").exists())
    )


def _open_folder(reference: str) -> "Patch":
    from ..patches.format.patch import Patch
    from .files import require_patch

    folder = user_path(reference)
    require_patch(folder)
    return Patch.open(folder)
