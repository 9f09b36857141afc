"""The collector of blobs that no living version needs.

A blob goes in two steps: within the writer's transaction it is renamed into the trash, and after
the commit unlinked. A publisher looks within its own transaction whether its blobs are there, so
what was taken between its putting and its turn is put again. Killed at any step, only blobs that
nobody needs are touched, and the next run finishes.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

from ...patches.digests import is_sha256, sha256_file
from ...patches.errors import InputError, LimitExceeded
from ...patches.format.manifest import MAX_BYTES, Manifest
from .. import ownership
from ..attestations import Attestation
from ..database.batches import chunks
from ..ledger.entries import REGISTRY
from ..ledger.events import Event
from ..store import Store
from . import files, living
from .files import StoredFile

GRACE = timedelta(hours=24)
BATCH = 1_000
"""Blobs in one transaction, so that publishers wait briefly and one ledger entry holds them all."""


@dataclass(frozen=True)
class Garbage:
    """A blob that no living version needs.

    `why` is "deleted" for one of deleted versions, whose files are `names`; "orphan" for one that
    nothing refers to, with a guess at what it is in `names`; "trash" for one that an earlier run
    left on its way. `age` is the time since the deletion or since it was last put, the shorter one.
    """

    digest: str
    size: int
    age: timedelta
    why: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Collection:
    """What a run of the collector took, or would take if `dry_run`.

    `put_back` are blobs that lay in the trash and are needed.
    """

    items: tuple[Garbage, ...]
    dry_run: bool
    put_back: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(item.size for item in self.items)


def collect(store: Store, *, grace: timedelta, dry_run: bool) -> Collection:
    """Take the blobs that no living version needs, and that nobody wanted for as long as `grace`.

    Raises LimitExceeded for a grace below zero, BlobsOfAnother.
    """
    if grace < timedelta():
        raise LimitExceeded("the time of grace cannot be below zero")
    with store.database.reading() as connection:
        ownership.claim(connection, store.blobs)
        found = list(_candidates(store, connection, grace))
        left = files.discarded(store.blobs)
        if dry_run:
            items = [*map(_leftover, _unneeded(connection, left)), *found]
            return Collection(tuple(items), dry_run=True)
    cleared, back = settle_trash(store)
    taken = [item for batch in chunks(found, BATCH) for item in _take(store, batch, grace)]
    return Collection((*cleared, *taken), dry_run=False, put_back=back)


def settle_trash(store: Store) -> tuple[tuple[Garbage, ...], tuple[str, ...]]:
    """Finish what killed runs began: unlink what lies in the trash, put back what is needed."""
    left = files.discarded(store.blobs)
    if not left:
        return (), ()
    with store.database.writing() as connection:
        unneeded = _unneeded(connection, left)
        back = tuple(path.name for path in left if path not in unneeded and _restore(store, path))
        cleared = tuple(map(_leftover, unneeded))
        _record(store, connection, cleared, back)
    for path in left:
        if path in unneeded or not _is_sound(path) or _is_sound(store.blobs.path(path.name)):
            path.unlink(missing_ok=True)
    return cleared, back


def garbage(store: Store, connection: Connection) -> Iterator[Garbage]:
    """All blobs that no living version needs, of whatever age."""
    for part in chunks(files.stored(store.blobs)):
        digests = [file.digest for file in part]
        needed = living.needed(connection, digests)
        spare = [file for file in part if file.digest not in needed]
        former = living.former(connection, [file.digest for file in spare])
        for file in spare:
            yield _described(store, file, former.get(file.digest))


def _candidates(store: Store, connection: Connection, grace: timedelta) -> Iterator[Garbage]:
    return (item for item in garbage(store, connection) if item.age >= grace)


def _take(store: Store, batch: Sequence[Garbage], grace: timedelta) -> list[Garbage]:
    trash = files.trash(store.blobs)
    trash.mkdir(parents=True, exist_ok=True)
    with store.database.writing() as connection:
        needed = living.needed(connection, [item.digest for item in batch])
        taken = [
            item
            for item in batch
            if item.digest not in needed and _discard(store, item.digest, grace, trash)
        ]
        _record(store, connection, taken)
    for item in taken:
        (trash / item.digest).unlink(missing_ok=True)
    return taken


def _discard(store: Store, digest: str, grace: timedelta, trash: Path) -> bool:
    """Move a blob into the trash, unless it was put again or taken since it was looked at."""
    file = files.look(store.blobs.path(digest), digest)
    if file is None or _since(store, file.changed) < grace:
        return False
    with suppress(FileNotFoundError):
        file.path.replace(trash / digest)
        return True
    return False


def _restore(store: Store, path: Path) -> bool:
    """Put a blob back that is needed and not sound in its place; its bytes must be its own."""
    place = store.blobs.path(path.name)
    if not _is_sound(path) or _is_sound(place):
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    path.replace(place)
    return True


def _is_sound(path: Path) -> bool:
    """Whether a file's bytes have the digest that it is named for."""
    try:
        return sha256_file(path) == path.name
    except OSError:
        return False


def _unneeded(connection: Connection, left: Sequence[Path]) -> list[Path]:
    """Files in the trash that no living version needs."""
    needed = living.needed(connection, [path.name for path in left if is_sha256(path.name)])
    return [path for path in left if path.name not in needed]


def _record(
    store: Store, connection: Connection, taken: Sequence[Garbage], back: Sequence[str] = ()
) -> None:
    """Write entries of the ledger about blobs, if there are any."""
    for part in chunks(taken, BATCH):
        detail = {
            "count": len(part),
            "bytes": sum(item.size for item in part),
            "blobs": [item.digest for item in part],
        }
        store.ledger.append(connection, Event.BLOB_COLLECT, REGISTRY, detail)
    for digests in chunks(back, BATCH):
        detail = {"put back": digests}
        store.ledger.append(connection, Event.BLOB_COLLECT, REGISTRY, detail)


def _described(store: Store, file: StoredFile, known: living.Former | None) -> Garbage:
    age = _since(store, file.changed)
    if known is None:
        return Garbage(file.digest, file.size, age, "orphan", _guess(file))
    deleted = datetime.fromisoformat(known.deleted).timestamp()
    age = min(age, _since(store, deleted))
    return Garbage(file.digest, file.size, age, "deleted", known.names)


def _leftover(path: Path) -> Garbage:
    file = files.look(path, path.name)
    return Garbage(path.name, file.size if file else 0, timedelta(), "trash", ())


def _since(store: Store, moment: float) -> timedelta:
    past = datetime.fromtimestamp(moment, UTC)
    return max(store.ledger.now().astimezone(UTC) - past, timedelta())


def _guess(file: StoredFile) -> tuple[str, ...]:
    """What a blob may be that nothing refers to: nothing where it does not say."""
    if file.size > MAX_BYTES:
        return ()
    try:
        data = file.path.read_bytes()
    except OSError:
        return ()
    with suppress(InputError):
        return (f"patch.json of {Manifest.from_bytes(data).label}, which never came in",)
    with suppress(InputError):
        about = Attestation.from_bytes(data).version
        return (f"an attestation about sha256:{about[:12]}, which never came in",)
    return ("requests",) if _is_json_lines(data) else ()


def _is_json_lines(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data.partition(b"\n")[0]), dict)
    except (ValueError, RecursionError):
        return False
