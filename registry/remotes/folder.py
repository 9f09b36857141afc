"""A folder as a remote: a shared drive, an air-gapped site, a test.

A version lies in `<root>/<namespace>/<name>/v<N>/`. It is written under a hidden name beside its
place and renamed, so that it is there whole or not at all, whoever else is writing.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ...patches.errors import TargetExists
from ...patches.manifest import MAX_BYTES
from ...patches.names import check_patch_name
from ...patches.patch import ATTESTATIONS, MANIFEST, Patch
from ...patches.progress import Progress, silent
from . import attestations as attested
from .base import Bundle, Pulled, Pushed, read_manifest
from .errors import RemoteNotFound
from .existing import check_names, check_same, real_entries, require_folder
from .location import tag, tagged_version
from .publishing import add_attestations, make_folder, publish
from .transfer import copy_checked, read_limited


@dataclass(frozen=True)
class FolderRemote:
    """Versions in a folder that anybody who is allowed to may read and write."""

    root: Path

    @classmethod
    def open(cls, location: str) -> Self:
        """Make a remote of a path."""
        return cls(Path(location).expanduser().absolute())

    def versions(self, name: str) -> list[int]:
        """Give the numbers that are there, in order; raises RemoteNotFound, PathRefused."""
        numbers = map(tagged_version, real_entries(self._home(name)))
        found = sorted(number for number in numbers if number is not None)
        if not found:
            raise RemoteNotFound(
                f"{self.root} has no version of {name}", hint="check the name, or push it there"
            )
        return found

    def push(self, bundle: Bundle, *, progress: Progress = silent) -> Pushed:
        """Put a version there whole, or change nothing; raises as `Remote.push`, and OSError."""
        home = self._make_home(bundle.name)
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
        require_folder(self.root.resolve())
        require_folder(self.root / namespace)
        return self.root / namespace / half

    def _make_home(self, name: str) -> Path:
        namespace, _, half = check_patch_name(name).partition("/")
        if not self.root.parent.is_dir():
            raise RemoteNotFound(
                f"there is no folder {self.root.parent}",
                hint="is the drive mounted? If the folder is to be new, make it first",
            )
        home = self.root
        make_folder(home)
        for step in (namespace, half):
            home = home / step
            make_folder(home)
            require_folder(home)
        return home


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
