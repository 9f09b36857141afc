"""Look at what a folder already holds, believing nothing of it."""

import hashlib
import os
import stat
from pathlib import Path

from ....patches.digests import sha256
from ....patches.errors import DigestMismatch, ExtraFile, ManifestError, PathRefused
from ....patches.format.manifest import MAX_BYTES, FileRecord, Manifest
from ....patches.format.names import quoted
from ....patches.format.patch import ATTESTATIONS, CARD, DELTA, MANIFEST, REQUESTS, Patch
from ....patches.progress import Progress
from .. import attestations as attested
from ..base import Bundle, clash, read_manifest
from ..errors import RemoteNotFound
from ..transfer import copy_checked, open_regular, read_limited

_REQUIRED = (MANIFEST, DELTA, REQUESTS)


def real_entries(folder: Path) -> list[str]:
    """The names in a folder that is not a link, sorted; raises RemoteNotFound, PathRefused."""
    require_folder(folder)
    return sorted(entry.name for entry in folder.iterdir())


def require_folder(folder: Path) -> None:
    """Raise RemoteNotFound if there is no such folder, PathRefused if it is a link."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        raise RemoteNotFound(f"there is no folder {folder}", hint="check the name") from None
    if not stat.S_ISDIR(status.st_mode):
        raise PathRefused(
            f"{folder} is not a folder", why="a link could lead out of the folder that was meant"
        )


def check_names(folder: Path) -> None:
    """Raise unless `folder` holds the files of a version and nothing else; links are refused.

    Raises RemoteNotFound, PathRefused, ExtraFile, ManifestError.
    """
    for name in foreign(folder):
        raise ExtraFile(
            f"{quoted(name)} in {folder} does not belong to a patch",
            hint=f"a version holds {', '.join(_REQUIRED)}, {CARD} and {ATTESTATIONS}; "
            "whoever keeps the folder can take out what else is there",
        )
    check_whole(folder)


def foreign(folder: Path) -> list[str]:
    """The names in a folder that no version has; raises RemoteNotFound, PathRefused."""
    return [name for name in real_entries(folder) if name not in (*_REQUIRED, CARD, ATTESTATIONS)]


def check_whole(folder: Path) -> None:
    """Raise ManifestError unless all files of a version are there, whatever else is."""
    for name in _REQUIRED:
        if not os.path.lexists(folder / name):
            raise ManifestError(f"{folder / name} is missing", hint="have the version pushed again")


def copy_version(
    source: Path, into: Path, name: str, version: int | None, progress: Progress
) -> Manifest:
    """Copy the files of a version into an empty folder, each hashed on its way.

    Raises the InputError that says what is wrong with them, and OSError.
    """
    data = read_limited(source / MANIFEST, MAX_BYTES)
    manifest = read_manifest(data, name, version)
    (into / MANIFEST).write_bytes(data)
    for file, record in manifest.files.items():
        copy_checked(source / file, into / file, record, progress=progress, phase=f"pull {file}")
    return manifest


def read_attestations(source: Path) -> dict[str, bytes]:
    """Read the attestations beside a version, each hashed; raises InputError, OSError."""
    folder = source / ATTESTATIONS
    if not os.path.lexists(folder):
        return {}
    found: dict[str, bytes] = {}
    for digest in attested.read_names(real_entries(folder)):
        path = folder / attested.file_name(digest)
        found[digest] = attested.check(digest, read_limited(path, attested.MAX_BYTES))
        attested.check_total(sum(map(len, found.values())))
    return found


def differing(folder: Path, patch: Patch) -> str | None:
    """The first file of a version that `folder` does not hold byte for byte, if there is one.

    Raises RemoteNotFound, PathRefused, LimitExceeded, OSError.
    """
    require_folder(folder)
    if sha256(_read(folder / MANIFEST)) != patch.digest:
        return MANIFEST
    files = patch.manifest.files.items()
    return next((name for name, record in files if not _is(folder / name, record)), None)


def check_same(folder: Path, bundle: Bundle) -> None:
    """Raise VersionClash if `folder` holds another version, DigestMismatch if a damaged one."""
    require_folder(folder)
    if sha256(_read(folder / MANIFEST)) != bundle.patch.digest:
        raise clash(str(folder), bundle)
    for name, record in bundle.records().items():
        if not _is(folder / name, record):
            raise DigestMismatch(
                f"{folder / name} is not what was published there",
                why="the file was damaged or changed since",
                hint=f"move {folder} out of the way and push again",
            )


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, MAX_BYTES)
    except FileNotFoundError:
        return b""


def _is(path: Path, record: FileRecord) -> bool:
    try:
        if path.stat().st_size != record.size:
            return False
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == record.sha256
    except FileNotFoundError:
        return False
