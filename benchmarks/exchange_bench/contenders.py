"""Who exchanges what: a patch by weightpatch, the same folder and the whole model by `hf`."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.edits import Edit
from weightpatch.patches.format.manifest import Manifest
from weightpatch.registry.registry import Registry
from weightpatch.registry.remotes.location import HUB
from weightpatch.registry.sharing.exchange import pull

PATCH = "acme/edit"
OURS = "**weightpatch**, the patch"
HF = Path(sys.executable).parent / "hf"

Command = Sequence[str | Path]


@dataclass(frozen=True)
class Goods:
    """What is exchanged: the patch as a folder remote holds it, and the edited checkpoint."""

    exchange: Path
    model: Path

    @property
    def patch(self) -> Path:
        """The files of the patch."""
        return self.exchange / PATCH / "v1"


def prepare(edit: Edit, folder: Path) -> Goods:
    """Lay the patch of an edit, under a name that the hub takes, into a folder remote."""
    goods = Goods(folder, edit.edited)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(edit.patch, goods.patch)
    manifest = Manifest.from_bytes((goods.patch / "patch.json").read_bytes())
    (goods.patch / "patch.json").write_bytes(replace(manifest, name=PATCH).to_bytes())
    return goods


@dataclass(frozen=True)
class Contender:
    """One way to push something and to pull it; `home` is where a user's caches and registry lie.

    Nothing but the commands is measured. `runs` limits how often that is done.
    """

    name: str
    files: Path
    runs: int | None = None

    def settle(self, home: Path) -> None:
        """Let there be what a user has before a first pull."""

    def own(self, home: Path) -> None:
        """Let there be what a user has before a push."""

    def push(self) -> Command:
        """The command that pushes."""
        raise NotImplementedError

    def pull(self) -> Command:
        """The command that pulls."""
        raise NotImplementedError

    def pulled(self, home: Path) -> Mapping[str, Path]:
        """The files that were pulled, by name."""
        raise NotImplementedError


@dataclass(frozen=True)
class Ours(Contender):
    """`weightpatch push` and `pull`, to and from the Hub or a folder."""

    place: str = f"{HUB}://"

    def settle(self, home: Path) -> None:
        """An empty registry."""
        Registry.create(home=home / "registry", actor="benchmark").close()

    def own(self, home: Path) -> None:
        """A registry with the patch in it."""
        self.settle(home)
        with Registry.open(home=home / "registry", actor="benchmark") as registry:
            pull(registry, PATCH, str(self.files.parents[2]))

    def push(self) -> Command:
        """With the card that it writes."""
        return [sys.executable, "-m", "weightpatch", "push", PATCH, self.place]

    def pull(self) -> Command:
        """Into the registry, the newest version."""
        return [sys.executable, "-m", "weightpatch", "pull", PATCH, self.place]

    def pulled(self, home: Path) -> Mapping[str, Path]:
        """The files of the version in the registry."""
        with Registry.open(home=home / "registry", actor="benchmark") as registry:
            return dict(registry.patch(PATCH).files)


@dataclass(frozen=True)
class Hf(Contender):
    """`hf upload` and `hf download` of a folder: `upload_folder` and `snapshot_download`."""

    repository: str = PATCH

    def push(self) -> Command:
        """The folder as it is."""
        return [HF, "upload", self.repository, self.files, "--private"]

    def pull(self) -> Command:
        """Into the client's cache."""
        return [HF, "download", self.repository]

    def pulled(self, home: Path) -> Mapping[str, Path]:
        """The files of the newest snapshot."""
        folder = f"models--{self.repository.replace('/', '--')}"
        (snapshot,) = (home / "hub" / folder / "snapshots").iterdir()
        return {path.name: path for path in snapshot.iterdir()}


def contenders(goods: Goods) -> list[Contender]:
    """Ours first."""
    return [
        Ours(OURS, goods.patch),
        Hf("`hf`, the same files", goods.patch),
        Hf("`hf`, the edited model", goods.model, runs=2, repository="acme/edited-model"),
    ]
