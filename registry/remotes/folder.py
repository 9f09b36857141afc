"""A folder as a remote: a shared drive, an air-gapped site, a test.

A version lies in `<root>/<namespace>/<name>/v<N>/`. It is written under a hidden name beside its
place and renamed, so that it is there whole or not at all, whoever else is writing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ...patches.errors import PathRefused, TargetExists
from ...patches.format.manifest import MAX_BYTES
from ...patches.format.names import check_patch_name, quoted
from ...patches.format.patch import ATTESTATIONS, MANIFEST, Patch
from ...patches.progress import Progress, silent
from . import attestations as attested
from .base import Bundle, Plan, Pulled, Pushed, read_manifest
from .errors import RemoteNotFound, RemoteRefused
from .existing import check_names, check_same, real_entries, require_folder
from .location import tag, tagged_version
from .publishing import add_attestations, make_folder, publish, would_add, would_write
from .transfer import copy_checked, read_limited


@dataclass(frozen=True)
class FolderRemote:
    """Versions in a folder that anybody who is allowed to may read and write."""

    root: Path

    @classmethod
    def open(cls, location: str) -> Self:
        """Make a remote of a path; raises PathRefused."""
        try:
            return cls(Path(location).expanduser().absolute())
        except RuntimeError:
            raise PathRefused(
                f"{quoted(location)} begins with the home folder of somebody who is not known here",
                hint="give the folder by its whole path",
            ) from None

    def versions(self, name: str) -> list[int]:
        """Give the numbers that are there, in order; raises RemoteNotFound, PathRefused."""
        numbers = map(tagged_version, real_entries(self._home(name)))
        found = sorted(number for number in numbers if number is not None)
        if not found:
            raise RemoteNotFound(
                f"{self.root} has no version of {name}", hint="check the name, or push it there"
            )
        return found

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
        number = max(there) if version is None else version
        if number not in there:
            raise RemoteNotFound(
                f"{self.root} has no {name}@{number}",
                why=f"versions there: {', '.join(map(str, there))}",
                hint="name one",
            )
        source = self._home(name) / tag(number)
        check_names(source)
        data = read_limited(source / MANIFEST, MAX_BYTES)
        manifest = read_manifest(data, name, number)
        (into / MANIFEST).write_bytes(data)
        for file, record in manifest.files.items():
            copy_checked(
                source / file, into / file, record, progress=progress, phase=f"pull {file}"
            )
        attestations = _read_attestations(source)
        return Pulled(Patch.open(into), attestations, str(source), None)

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


def _read_attestations(source: Path) -> dict[str, bytes]:
    folder = source / ATTESTATIONS
    if not os.path.lexists(folder):
        return {}
    found: dict[str, bytes] = {}
    for digest in attested.read_names(real_entries(folder)):
        path = folder / attested.file_name(digest)
        found[digest] = attested.check(digest, read_limited(path, attested.MAX_BYTES))
        attested.check_total(sum(map(len, found.values())))
    return found
