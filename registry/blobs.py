"""Files by their sha256, in folders of a common beginning: written once, whole or not at all."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..patches.digests import BLOCK, sha256, sha256_file
from ..patches.errors import DigestMismatch, SizeMismatch
from ..patches.format.manifest import FileRecord
from .errors import BlobLost


class BlobStore:
    """Blobs under `root`, as `sha256/ab/<digest>`.

    A blob is written beside its place, flushed to the disk and renamed; so what has the name of a
    digest had that digest once. Before a blob is relied upon again it is hashed again.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Where the blob lies, or would lie."""
        return self.root / "sha256" / digest[:2] / digest

    def put_bytes(self, data: bytes) -> FileRecord:
        """Store bytes; raises OSError."""
        record = FileRecord(sha256(data), len(data))
        self._put(iter([data]), record, what="bytes")
        return record

    def put_file(self, source: Path, record: FileRecord) -> None:
        """Store a copy of a file that should be `record`.

        Raises SizeMismatch, DigestMismatch, OSError; nothing is stored then.
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
        if not self._holds(record):
            final.parent.mkdir(parents=True, exist_ok=True)
            _write(final, blocks, record, what)
        for folder in (final.parent, final.parent.parent):
            sync_folder(folder)

    def _holds(self, record: FileRecord) -> bool:
        return (
            self._size(record.sha256) == record.size
            and sha256_file(self.path(record.sha256)) == record.sha256
        )

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


def _write(final: Path, blocks: Iterator[bytes], record: FileRecord, what: str) -> None:
    partial = final.parent / f".partial-{os.getpid()}-{secrets.token_hex(8)}"
    digest = hashlib.sha256()
    size = 0
    try:
        with partial.open("xb") as file:
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
        hint="pull or publish the version again, which puts the file back",
    )
