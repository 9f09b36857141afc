"""Files by their sha256, in folders of a common beginning: written once, whole or not at all."""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ..patches.digests import BLOCK, sha256, sha256_file
from ..patches.errors import DigestMismatch, NoSpace, SizeMismatch
from ..patches.format.manifest import FileRecord
from ..patches.format.names import quoted
from .errors import BlobLost

PARTIAL = ".partial-"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BlobStore:
    """Blobs under `root`, as `sha256/ab/<digest>`.

    A blob is written beside its place, flushed to the disk and renamed; so what has the name of a
    digest had that digest once. Before a blob is relied upon again it is hashed again. Its time of
    change is that of its last putting, so that a collector sees which blobs were wanted lately.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Where the blob lies, or would lie; raises BlobLost for what is no sha256."""
        if not _SHA256.fullmatch(digest):
            raise BlobLost(
                f"{quoted(digest)} is not the digest of a stored file",
                why="no program of ours wrote that into the database",
                hint="verify the ledger, and restore the database from a backup",
            )
        return self.root / "sha256" / digest[:2] / digest

    def put_bytes(self, data: bytes) -> FileRecord:
        """Store bytes; raises NoSpace, OSError."""
        record = FileRecord(sha256(data), len(data))
        self._put(iter([data]), record, what="bytes")
        return record

    def put_file(self, source: Path, record: FileRecord) -> None:
        """Store a copy of a file that should be `record`.

        Raises SizeMismatch, DigestMismatch, NoSpace, OSError; nothing is stored then.
        """
        self._put(_blocks(source), record, what=source.name)

    def missing(self, records: Iterable[FileRecord]) -> list[str]:
        """Digests of the blobs that are not there in their full size."""
        return [record.sha256 for record in records if self._size(record.sha256) != record.size]

    def require(self, digest: str) -> Path:
        """Path of a blob whose bytes were hashed just now; raises BlobLost."""
        path = self.path(digest)
        try:
            sound = sha256_file(path) == digest
        except OSError:
            raise _lost(digest, "is missing") from None
        if not sound:
            raise _lost(digest, "was damaged or changed")
        return path

    def _put(self, blocks: Iterator[bytes], record: FileRecord, *, what: str) -> None:
        final = self.path(record.sha256)
        if self._holds(record):
            with suppress(OSError):  # somebody else's file, or one that is collected right now
                os.utime(final)
        else:
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
                _write(final, blocks, record, what)
            except OSError as error:
                raise _no_room(error, final, what) from error
        for folder in (final.parent, final.parent.parent):
            sync_folder(folder)

    def _holds(self, record: FileRecord) -> bool:
        try:
            return (
                self._size(record.sha256) == record.size
                and sha256_file(self.path(record.sha256)) == record.sha256
            )
        except OSError:
            return False

    def _size(self, digest: str) -> int | None:
        try:
            return self.path(digest).stat().st_size
        except OSError:
            return None


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system has that."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_abandoned(partial: Path) -> bool:
    """Whether a partial file belongs to no process that still writes to it."""
    if os.name == "nt":
        return False
    import fcntl

    try:
        with partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _say_in_use(file: BinaryIO) -> None:
    """Hold a lock on a file until it is closed; a killed process lets go of it, too."""
    if os.name == "nt":
        return
    import fcntl

    with suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX)


def _no_room(error: OSError, place: Path, what: str) -> OSError | NoSpace:
    """The error for a full disk in our form, any other one as it is."""
    if error.errno not in _FULL:
        return error
    return NoSpace(
        f"there is no room for {what}: {error.strerror}",
        why=f"it would be stored at {place}",
        hint="nothing was changed; make room and try again",
    )


def _write(final: Path, blocks: Iterator[bytes], record: FileRecord, what: str) -> None:
    partial = final.parent / f"{PARTIAL}{os.getpid()}-{secrets.token_hex(8)}"
    digest = hashlib.sha256()
    size = 0
    try:
        with partial.open("xb") as file:
            _say_in_use(file)
            for block in blocks:
                digest.update(block)
                size += len(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        _check(record, FileRecord(digest.hexdigest(), size), what)
        partial.chmod(0o444)
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def _check(meant: FileRecord, found: FileRecord, what: str) -> None:
    if found.size != meant.size:
        raise SizeMismatch(f"{what} has {found.size} bytes, {meant.size} were promised")
    if found.sha256 != meant.sha256:
        raise DigestMismatch(
            f"the bytes of {what} are not those promised",
            why=f"they have the sha256 {found.sha256}, promised was {meant.sha256}",
        )


def _blocks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _lost(digest: str, what: str) -> BlobLost:
    return BlobLost(
        f"the stored file {digest[:12]} {what}",
        why="the registry knows it by its sha256",
        hint="pull the version again, which puts the file back",
    )
