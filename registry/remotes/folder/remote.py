"""A folder as a remote: a shared drive, an air-gapped site, a test.

A version lies in `<root>/<namespace>/<name>/v<N>/`. It is written under a hidden name beside its
place and renamed, so that it is there whole or not at all, whoever else is writing. What is
proposed lies in `pr/<N>/` beside the versions.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ....patches.errors import PathRefused, TargetExists
from ....patches.format.manifest import MAX_BYTES
from ....patches.format.names import check_patch_name
from ....patches.format.patch import MANIFEST, Patch
from ....patches.progress import Progress, silent
from ..base import Bundle, Plan, Pulled, Pushed, choose
from ..catalogue import Found, Glimpse, Wanted
from ..errors import RemoteNotFound, RemoteRefused
from ..location import folder_path, tag, tagged_version
from ..proposals import Candidate, Proposal, Proposed, Text
from ..transfer import from_place, read_limited
from .existing import (
    check_names,
    check_same,
    copy_version,
    read_attestations,
    real_entries,
    require_folder,
)
from .looking import look
from .proposals import PROPOSALS, FolderProposals
from .publishing import add_attestations, make_folder, publish, would_add, would_write
from .searching import search


@dataclass(frozen=True)
class FolderRemote:
    """Versions in a folder that anybody who is allowed to may read and write."""

    root: Path

    @classmethod
    def open(cls, location: str) -> Self:
        """Make a remote of a path; raises PathRefused."""
        return cls(folder_path(location))

    def versions(self, name: str) -> list[int]:
        """Give the numbers that are there, in order; raises RemoteNotFound, PathRefused."""
        numbers = map(tagged_version, real_entries(self._home(name)))
        found = sorted(number for number in numbers if number is not None)
        if not found:
            raise RemoteNotFound(
                f"{self.root} has no version of {name}", hint="check the name, or push it there"
            )
        return found

    def holds(self, name: str, version: int, manifest: bytes) -> bool:
        """Whether this patch.json lies there; raises as `Remote.holds`, and OSError."""
        try:
            return read_limited(self._home(name) / tag(version) / MANIFEST, MAX_BYTES) == manifest
        except FileNotFoundError:
            return False

    def public(self) -> Self:
        """Raise RemoteRefused: who may read a folder is said by its permissions."""
        raise RemoteRefused(
            f"{self.root} is a folder, and a push cannot make it public",
            why="its owner says by its permissions who may read it",
            hint="leave --public out",
        )

    def plan(self, bundle: Bundle) -> Plan:
        """Say what `push` would do, and change nothing; raises as `Remote.push`."""
        home = self._home_to_be(bundle.name)
        target = home / tag(bundle.version)
        if os.path.lexists(target):
            check_same(target, bundle)
            return Plan(
                str(target),
                makes=False,
                private=None,
                already_there=True,
                files=would_add(target, bundle),
            )
        makes = not self.root.is_dir()
        return Plan(
            str(target), makes, private=None, already_there=False, files=would_write(bundle)
        )

    def push(self, bundle: Bundle, *, progress: Progress = silent) -> Pushed:
        """Put a version there whole, or change nothing; raises as `Remote.push`, and OSError."""
        with self._made_home(bundle.name) as home:
            target = home / tag(bundle.version)
            if not os.path.lexists(target):
                try:
                    publish(home, target, bundle, progress)
                except TargetExists:
                    pass
                else:
                    return Pushed(str(target), None, already_there=False)
            check_same(target, bundle)
            added = add_attestations(home, target, bundle)
        return Pushed(str(target), None, already_there=True, attestations_added=added)

    def pull(
        self, name: str, version: int | None, into: Path, *, progress: Progress = silent
    ) -> Pulled:
        """Copy a version into `into` while hashing it; raises as `Remote.pull`, and OSError."""
        there = self.versions(name)
        number = choose(there, version, name, str(self.root))
        source = self._home(name) / tag(number)
        check_names(source)
        with from_place(source):
            copy_version(source, into, name, number, progress)
            return Pulled(Patch.open(into), read_attestations(source), str(source), None)

    def search(self, wanted: Wanted, limit: int, *, progress: Progress = silent) -> Found:
        """Find patches in the folder; raises RemoteNotFound, PathRefused, OSError."""
        return search(self.root, self.versions, wanted, limit, progress=progress)

    def look(self, name: str, *, progress: Progress = silent) -> Glimpse:  # noqa: ARG002
        """Read the manifest of the newest version; raises as `Remote.look`, and OSError."""
        return look(self._home(name), name, self.versions(name))

    def propose(self, bundle: Bundle, text: Text, *, progress: Progress = silent) -> Proposed:
        """Lay a version beside those that are there; raises as `Remote.propose`, and OSError."""
        there = self.versions(bundle.name)
        return self._proposals(bundle.name).propose(bundle, text, max(there), progress)

    def proposals(self, name: str) -> list[Proposal]:
        """The proposals that wait to be accepted, newest first; raises RemoteError, OSError."""
        return self._proposals(name).waiting()

    def proposal(
        self, name: str, number: int, into: Path, *, progress: Progress = silent
    ) -> Candidate:
        """Copy a proposed version into `into`; raises as `Remote.proposal`, and OSError."""
        return self._proposals(name).fetch(number, into, progress)

    def accept(self, name: str, number: int, reviewed: Bundle) -> Pushed:
        """Make a version of a proposal by renaming it; raises as `Remote.accept`, and OSError."""
        there = self.versions(name)
        return self._proposals(name).accept(number, reviewed, max(there))

    def _proposals(self, name: str) -> FolderProposals:
        """Those for a patch; raises RemoteNotFound where no patch is."""
        try:
            self.versions(name)
        except RemoteNotFound as error:
            home = self.root / name
            patch = home.parent.parent if home.parent.name == PROPOSALS else None
            raise RemoteNotFound(
                f"there is no patch in {home}",
                why=error.message,
                hint=f"proposals have numbers, from 1: write {patch}/{PROPOSALS}/7, or {patch} to "
                "list them"
                if patch
                else "write FOLDER/namespace/name, where its versions lie as v1, v2, …, or "
                f"FOLDER/namespace/name/{PROPOSALS}/7",
            ) from None
        return FolderProposals(self._home(name), name)

    def _home(self, name: str) -> Path:
        """The folder of all versions of a patch, every step to it a folder and not a link."""
        namespace, _, half = check_patch_name(name).partition("/")
        require_folder(_resolved(self.root))
        require_folder(self.root / namespace)
        return self.root / namespace / half

    def _home_to_be(self, name: str) -> Path:
        """The folder of all versions of a patch, whether it is there or not; raises RemoteError."""
        namespace, _, half = check_patch_name(name).partition("/")
        self._require_drive()
        for step in (_resolved(self.root), self.root / namespace, self.root / namespace / half):
            if os.path.lexists(step):
                require_folder(step)
        return self.root / namespace / half

    def _require_drive(self) -> None:
        if not self.root.parent.is_dir():
            raise RemoteNotFound(
                f"there is no folder {self.root.parent}",
                hint="is the drive mounted? If the folder is to be new, make it first",
            )

    @contextmanager
    def _made_home(self, name: str) -> Iterator[Path]:
        """The folder of all versions of a patch; if what follows fails, none is made."""
        namespace, _, half = check_patch_name(name).partition("/")
        self._require_drive()
        above = self.root / namespace
        home = above / half
        new = [folder for folder in (self.root, above, home) if not os.path.lexists(folder)]
        try:
            make_folder(self.root)
            for step in (above, home):
                make_folder(step)
                require_folder(step)
            yield home
        except BaseException:
            for folder in reversed(new):
                # Somebody else may have put something there, or never let it be made.
                with suppress(OSError):
                    folder.rmdir()
            raise


def _resolved(root: Path) -> Path:
    try:
        return root.resolve()
    except RuntimeError:
        raise PathRefused(f"{root} is a link that leads to itself") from None
