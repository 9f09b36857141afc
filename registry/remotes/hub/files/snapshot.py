"""A version at one commit on the Hub: only files of exact names, every one hashed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .....patches.errors import LimitExceeded, ManifestError, SizeMismatch
from .....patches.format.manifest import MAX_BYTES, FileRecord, Manifest
from .....patches.format.patch import ATTESTATIONS, MANIFEST
from .....patches.progress import Progress, silent
from ... import attestations as attested
from ...base import read_manifest
from ...transfer import copy_checked, read_limited
from ..repository.listed import Listed, require_listed
from ..repository.repository import Repository
from .downloads import fetch

_PREFIX = f"{ATTESTATIONS}/"


@dataclass(frozen=True)
class Snapshot:
    """One commit of one repository; every method raises RemoteError and InputError."""

    repository: Repository
    commit: str
    progress: Progress = silent

    @cached_property
    def listed(self) -> dict[str, Listed]:
        """The files at the commit."""
        return self.repository.listing(self.commit)

    def save(self, into: Path, version: int | None) -> Manifest:
        """Fetch the files of a version into an empty folder, as its manifest promises them."""
        data = self.manifest()
        manifest = read_manifest(data, self.repository.patch, version)
        (into / MANIFEST).write_bytes(data)
        for name, record in manifest.files.items():
            self._save_file(into / name, record)
        return manifest

    def manifest(self) -> bytes:
        """Fetch the bytes of patch.json."""
        return self._read(self._find(MANIFEST), MAX_BYTES)

    def attestations(self) -> dict[str, bytes]:
        """Fetch the attestations that lie at the commit, by their sha256."""
        paths = [path for path in self.listed if path.startswith(_PREFIX)]
        digests = attested.read_names(path.removeprefix(_PREFIX) for path in paths)
        attested.check_total(sum(self.listed[path].size for path in paths))
        found = {}
        for digest in digests:
            file = self.listed[_PREFIX + attested.file_name(digest)]
            found[digest] = attested.check(digest, self._read(file, attested.MAX_BYTES))
        return found

    def _find(self, path: str) -> Listed:
        if path not in self.listed:
            raise ManifestError(
                f"{self.repository.name} on the Hub has no {path}",
                why=f"at commit {self.commit[:12]}",
                hint="it is not a patch, or was not published with weightpatch",
            )
        return self.listed[path]

    def _read(self, file: Listed, limit: int) -> bytes:
        if file.size > limit:
            raise LimitExceeded(f"{file.path} is larger than {limit} bytes")

        def read(path: Path) -> bytes:
            data = read_limited(path, limit, follow=True)
            require_listed(data, file)
            return data

        return fetch(self.repository, self.commit, file, read, progress=self.progress)

    def _save_file(self, target: Path, record: FileRecord) -> None:
        file = self._find(target.name)
        if file.size != record.size:
            raise SizeMismatch(
                f"the Hub lists {file.path} with {file.size} bytes, patch.json says {record.size}",
                hint="do not trust this source",
            )

        def copy(path: Path) -> None:
            target.unlink(missing_ok=True)
            copy_checked(path, target, record, follow=True)

        fetch(self.repository, self.commit, file, copy, progress=self.progress)
