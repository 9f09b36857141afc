"""How a version comes in: its files first, then all its rows and its ledger entry at once.

A crash leaves at most blobs that nothing refers to. Blobs are put, and words made, before the
transaction, which is then short; what a collector took between the two is put again within it,
where none can run.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from ...patches.digests import sha256
from ...patches.errors import DigestMismatch, ManifestError, PluginMissing
from ...patches.format.manifest import FileRecord, Manifest
from ...patches.format.names import AUXILIARY, split_key
from ...patches.format.patch import DELTA, MANIFEST, Draft, Patch, content_digest
from ...patches.format.safetensors_file import read_header
from ...patches.requests import EditRequest
from .. import bounds, ownership
from ..blobs import BlobStore
from ..database import schema
from ..errors import VersionClash
from ..ledger.entries import Subject
from ..ledger.events import Event
from ..store import Store
from . import derived, reading, standing, storing
from .reading import VersionInfo


@dataclass(frozen=True)
class Incoming:
    """A new version, and all that is to be said of it."""

    manifest: Manifest
    requests: Sequence[EditRequest]
    found_by: derived.Terms
    files: Mapping[str, FileRecord]


def publish(store: Store, draft: Draft) -> VersionInfo:
    """Give a draft the next number of its patch, unless a version of the patch does the same.

    Raises Deleted if that version was deleted.
    """
    manifest = Manifest.from_bytes(draft.manifest.to_bytes())
    bounds.check_manifest(manifest)
    sources = {name: draft.folder / name for name in manifest.files}
    read = Patch(manifest, sources, manifest.digest)
    requests = _requests(read)
    _check_delta(read)
    found_by = derived.terms_of(manifest, requests)
    _put(store.blobs, manifest.files, sources)
    with store.database.writing() as connection:
        ownership.claim(connection, store.blobs)
        patch = storing.patch_id(connection, manifest.name)
        known = _same_content(connection, manifest)
        if known:
            return known
        _put_again(store.blobs, manifest.files, sources)
        numbered = draft.numbered(storing.next_number(connection, patch))
        own = store.blobs.put_bytes(numbered.to_bytes())
        new = Incoming(numbered, requests, found_by, {**manifest.files, MANIFEST: own})
        _record(store, connection, Event.VERSION_PUBLISH, new)
    return _stored(store, own.sha256)


def admit(store: Store, patch: Patch) -> VersionInfo:
    """Take in a version with the number and digest that it has; raises VersionClash, Deleted.

    Of operations that are not installed here only the names of their parts are checked.
    """
    new = check(store, patch)
    files = new.files
    _put(store.blobs, files, patch.files)
    with store.database.writing() as connection:
        ownership.claim(connection, store.blobs)
        _refuse_buried(connection, patch)
        known = reading.find(connection, schema.version.c.digest == patch.digest)
        if known:
            return known
        _put_again(store.blobs, files, patch.files)
        _refuse_clash(connection, patch)
        _record(store, connection, Event.VERSION_ADMIT, new)
    return _stored(store, patch.digest)


def check(store: Store, patch: Patch) -> Incoming:
    """Read all that a version says of itself, and raise what `admit` would; nothing is changed."""
    manifest = patch.manifest
    data = manifest.to_bytes()
    if sha256(data) != patch.digest:
        raise DigestMismatch(f"{patch.label} does not have the digest that it claims")
    bounds.check_manifest(manifest)
    files = {**manifest.files, MANIFEST: FileRecord(patch.digest, len(data))}
    requests = _requests(patch)
    with suppress(PluginMissing):
        _check_delta(patch)
    new = Incoming(manifest, requests, derived.terms_of(manifest, requests), files)
    with store.database.reading() as connection:
        storing.known_patch(connection, manifest.name)
        _refuse_clash(connection, patch)
        _refuse_buried(connection, patch)
    return new


def _put(blobs: BlobStore, files: Mapping[str, FileRecord], sources: Mapping[str, Path]) -> None:
    """Store the files; what is stored is what was read, or its digest would be another."""
    for name, record in files.items():
        blobs.put_file(sources[name], record)


def _put_again(
    blobs: BlobStore, files: Mapping[str, FileRecord], sources: Mapping[str, Path]
) -> None:
    """Store what was taken away meanwhile; call it where no collector can run."""
    lost = set(blobs.missing(files.values()))
    _put(blobs, {name: file for name, file in files.items() if file.sha256 in lost}, sources)


def _requests(patch: Patch) -> Sequence[EditRequest]:
    bounds.check_requests(patch.requests)
    return patch.requests


def _check_delta(patch: Patch) -> None:
    """Read all that the delta holds; raises InputError, and PluginMissing after all else."""
    _check_declared(patch.files[DELTA], patch.manifest)
    _ = patch.auxiliary
    _ = patch.operations


def _check_declared(path: Path, manifest: Manifest) -> None:
    with path.open("rb") as file:
        keys = [split_key(key) for key in read_header(file).tensors]
    found = {
        (tensor, kind, rest.partition(".")[0]) for tensor, kind, rest in keys if kind != AUXILIARY
    }
    declared = {
        (tensor, record.kind, str(index))
        for tensor, records in manifest.operations.items()
        for index, record in enumerate(records)
    }
    if found != declared:
        raise ManifestError("patch.json and delta.safetensors declare different operations")


def _same_content(connection: Connection, manifest: Manifest) -> VersionInfo | None:
    """The version of the patch that does the same; raises Deleted if it was deleted."""
    same = reading.named(manifest.name), schema.version.c.content == content_digest(manifest)
    found = reading.find(connection, *same, standing.kept()) or reading.find(connection, *same)
    if found:
        _refuse_deleted(found)
    return found


def _refuse_buried(connection: Connection, patch: Patch) -> None:
    """Raise Deleted if the version, or one of the same patch that does the same, was deleted."""
    known = reading.find(connection, schema.version.c.digest == patch.digest)
    if known:
        _refuse_deleted(known)
    else:
        _same_content(connection, patch.manifest)


def _refuse_deleted(known: VersionInfo) -> None:
    if known.standing and known.standing.deleted:
        raise standing.deleted(known.label, known.standing, what="with this very content")


def _refuse_clash(connection: Connection, patch: Patch) -> None:
    known = reading.numbered(connection, patch.manifest.name, patch.manifest.version)
    if known and known.digest != patch.digest:
        raise VersionClash(
            f"{patch.label} is known here with another content",
            why=f"known is sha256:{known.digest}, this is sha256:{patch.digest}; a version never "
            "changes, so one of the two is not what it says",
            hint="nothing was changed; ask the author which digest is right before using either",
        )


def _record(store: Store, connection: Connection, event: Event, new: Incoming) -> None:
    """Insert the rows of a version and its ledger entry."""
    manifest, recorded = new.manifest, store.ledger.time()
    storing.version(
        connection, manifest, new.requests, new.files, recorded=recorded, found_by=new.found_by
    )
    subject = Subject(manifest.label, new.files[MANIFEST].sha256)
    detail = {
        "method": manifest.method.name,
        "author": manifest.author,
        "message": manifest.message,
    }
    store.ledger.append(connection, event, subject, detail)


def _stored(store: Store, digest: str) -> VersionInfo:
    """What was just stored, read when nobody waits for it any more."""
    with store.database.reading() as connection:
        return replace(reading.require(connection, digest), is_new=True)
