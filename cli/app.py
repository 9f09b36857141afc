"""What every command shares: configuration, output, registry, the way to patches and bases."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..patches.errors import CheckpointRefused
from ..patches.progress import Progress
from .config import Config
from .output import Output
from .progress import progress_bar
from .scoring import show_scores

if TYPE_CHECKING:
    from ..patches.checkpoint import Checkpoint
    from ..patches.evaluation.base import Evaluation
    from ..patches.patch import Patch
    from ..registry.registry import EvaluationInfo, Registry, VersionInfo


@dataclass(frozen=True)
class App:
    """One run of the command line."""

    config: Config
    output: Output

    def registry(self) -> "Registry":
        """The registry, opened; use it in a `with` block. Raises RegistryMissing."""
        from ..registry.registry import Registry

        return Registry.open(
            self.config.database, home=self.config.home, actor=self.config.actor, now=now
        )

    def progress(self) -> AbstractContextManager[Progress]:
        """A progress callback for a `with` block."""
        return progress_bar(quiet=self.output.as_json)

    def base(self, spec: str) -> "Checkpoint":
        """The checkpoint that BASE names: a folder, or a Hub id with revision."""
        from ..patches.digests import DigestCache
        from ..registry.bases import open_base

        return open_base(spec, cache=DigestCache(self.config.cache / "digests"))

    def patches(self, references: Sequence[str]) -> "list[Patch]":
        """The versions that REFs name: folders as they are, all else from the registry."""
        folders = [Path(reference) for reference in references]
        if all(_is_patch_folder(folder) for folder in folders):
            return [_open_folder(folder) for folder in folders]
        with self.registry() as registry:
            return [
                _open_folder(folder) if _is_patch_folder(folder) else registry.patch(reference)
                for reference, folder in zip(references, folders, strict=True)
            ]

    def evaluations(self, patch: "Patch") -> "list[EvaluationInfo]":
        """What the registry knows of how well a version works; nothing if there is no registry."""
        from ..registry.errors import RegistryMissing

        try:
            with self.registry() as registry:
                return registry.evaluations(patch.digest)
        except RegistryMissing:
            return []

    def record(self, action: str, label: str, digest: str, detail: Mapping[str, str]) -> None:
        """Write into the ledger what was done with a version; nothing if there is no registry."""
        from ..registry.errors import RegistryMissing

        try:
            with self.registry() as registry:
                registry.record(action, label, digest, detail)
        except RegistryMissing:
            return

    def announce(
        self, kind: str, version: "VersionInfo", evaluation: "Evaluation | None" = None
    ) -> None:
        """Say which version came of a command, and how well it works."""
        scores = {"evaluation": evaluation.to_json()} if evaluation else {}
        self.output.data(kind, {**asdict(version), **scores})
        state = "stored as" if version.is_new else "already known as"
        self.output.line(f"{state} {version.label}  sha256:{version.digest}")
        if evaluation:
            self.output.line()
            show_scores(self.output, evaluation)

    def base_for(self, patches: "Sequence[Patch]", spec: str | None) -> "Checkpoint":
        """The base given, or the one that the registry remembers for these patches."""
        if spec is not None:
            return self.base(spec)
        with self.registry() as registry:
            places = registry.find_base(patches[0].manifest.bases[0])
        for place in places:
            if place.is_dir():
                return self.base(str(place))
        raise CheckpointRefused(
            f"no base of {patches[0].label} is known on this machine",
            hint="name it with --base FOLDER or --base org/model@revision",
        )


def now() -> datetime:
    """The time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def timestamp() -> str:
    """The time as manifests spell it, 2026-01-31T12:00:00Z."""
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_patch_folder(folder: Path) -> bool:
    return (folder / "patch.json").is_file()


def _open_folder(folder: Path) -> "Patch":
    from ..patches.patch import Patch

    return Patch.open(folder)
