"""What lies in the folder of blobs: blobs, unfinished files, and what waits to be unlinked."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from ...patches.digests import is_sha256
from ..blobs import PARTIAL, BlobStore, is_abandoned

_MINUTE = 60


@dataclass(frozen=True)
class StoredFile:
    """A file of a blob store; `changed` is the time of its last putting, in seconds."""

    digest: str
    path: Path
    size: int
    changed: float


def stored(blobs: BlobStore) -> Iterator[StoredFile]:
    """All blobs that are there, folder by folder."""
    for folder in _folders(blobs):
        for entry in _entries(folder):
            path = Path(entry.path)
            if not is_sha256(entry.name) or path != blobs.path(entry.name):
                continue
            if file := look(path, entry.name):
                yield file


def look(path: Path, digest: str) -> StoredFile | None:
    """The file at a path now, None if nothing is there, or something that is no file of ours."""
    try:
        status = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return StoredFile(digest, path, status.st_size, status.st_mtime)


def abandoned(blobs: BlobStore) -> Iterator[Path]:
    """Unfinished files of processes that are gone."""
    for folder in _folders(blobs):
        for entry in _entries(folder):
            path = Path(entry.path)
            if entry.name.startswith(PARTIAL) and is_abandoned(path) and not _is_new(path):
                yield path


def trash(blobs: BlobStore) -> Path:
    """The folder that holds blobs between the choice to drop them and their end."""
    return blobs.root / "trash"


def discarded(blobs: BlobStore) -> list[Path]:
    """Blobs in the trash; more than none only if a process was killed, or runs now."""
    there = (Path(entry.path) for entry in _entries(trash(blobs)) if is_sha256(entry.name))
    return sorted(path for path in there if look(path, path.name))


def damaged(blobs: BlobStore) -> Path:
    """The folder that keeps damaged blobs, which are for people to look at."""
    return blobs.root / "damaged"


def kept(blobs: BlobStore) -> list[Path]:
    """Damaged blobs that were set aside."""
    return sorted(Path(entry.path) for entry in _entries(damaged(blobs)))


def unfinished_copies(database: Path | None) -> list[Path]:
    """What a killed upgrade left of the copy that it made; of a running one too."""
    if database is None:
        return []
    return sorted(database.parent.glob(f"{escape(database.name)}{PARTIAL}*"))


def _folders(blobs: BlobStore) -> Iterator[Path]:
    for entry in _entries(blobs.root / "sha256"):
        if entry.is_dir():
            yield Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # not there, or no folder
        return []


def _is_new(path: Path) -> bool:
    """Whether a living process may have made a file just now, and not yet locked it."""
    file = look(path, "")
    if file is None or time.time() - file.changed > _MINUTE:
        return False
    process = path.name.removeprefix(PARTIAL).partition("-")[0]
    return process.isdigit() and _is_alive(int(process))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
