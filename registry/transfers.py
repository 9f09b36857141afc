"""Transfers: where a version was pushed to and pulled from."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from . import bounds
from .database import schema
from .ledger import entries
from .ledger.entries import Filter, writable
from .ledger.events import Event
from .remotes.location import folder_path, scheme
from .store import Store
from .versions import reading, storing

PUSH, PULL = schema.DIRECTIONS
MAX_TRANSFERS = 1_000

_EVENTS = {PUSH: (Event.VERSION_PUSH, "to"), PULL: (Event.VERSION_PULL, "from")}


@dataclass(frozen=True)
class TransferInfo:
    """A push or pull of a version; `revision` is the name that the remote gave its new state."""

    direction: str
    remote: str
    revision: str | None
    who: str
    when: str
    seq: int


@dataclass(frozen=True)
class Exchange:
    """A remote that a patch was pushed to or pulled from, and the highest version that was.

    `seq` is the ledger entry of the last time.
    """

    name: str
    remote: str
    highest: int
    seq: int


def remote_name(location: str) -> str:
    """How a remote is written down: a folder with its full path, any other as it is.

    Raises LimitExceeded for one that is too long to be written down, PathRefused for the home
    folder of somebody who is not known.
    """
    full = location if scheme(location) else str(folder_path(location))
    name = str(writable(full))
    _check_remote(name)
    return name


def record(
    store: Store,
    digest: str,
    direction: str,
    remote: str,
    place: str,
    revision: str | None,
    languages: Sequence[str] = (),
) -> None:
    """Write down that a version went to or came from `place`, which is at `remote`.

    `languages` are those that its card there names.

    Raises NotFound, LimitExceeded, InputError; ValueError for another direction than these two.
    """
    if direction not in _EVENTS:
        raise ValueError(f"a version goes by {PUSH} or {PULL}, not by {direction}")
    event, preposition = _EVENTS[direction]
    remote, revision = writable(remote), writable(revision)
    _check_remote(remote)
    bounds.check_text("the revision of a remote", revision)
    with store.database.writing() as connection:
        version, subject = reading.subject(connection, digest)
        detail = {preposition: place, "remote": remote, "revision": revision}
        if languages:
            detail["languages"] = list(languages)
        values = {
            "seq": store.ledger.append(connection, event, subject, detail),
            "remote_id": _remote(connection, remote),
            "version_id": version,
            "direction": direction,
            "revision": revision,
        }
        connection.execute(insert(schema.transfer).values(**values))


def of_version(connection: Connection, digest: str, limit: int) -> list[TransferInfo]:
    """Pushes and pulls of a version, the newest first; raises NotFound."""
    table, remote, ledger = schema.transfer, schema.remote, schema.ledger
    query = (
        select(table, remote.c.location, ledger.c.actor, ledger.c.time)
        .join(remote, remote.c.id == table.c.remote_id)
        .join(ledger, ledger.c.seq == table.c.seq)
        .where(table.c.version_id == reading.identity(connection, digest))
        .order_by(table.c.seq.desc())
        .limit(bounds.page(limit, MAX_TRANSFERS))
    )
    return [
        TransferInfo(row.direction, row.location, row.revision, row.actor, row.time, row.seq)
        for row in connection.execute(query)
    ]


def last_languages(connection: Connection, name: str) -> tuple[str, ...]:
    """The languages that the card of a patch was last pushed with from here."""
    wanted = Filter(patch=name, action=Event.VERSION_PUSH)
    pushes = entries.read(connection, wanted, limit=1)
    return tuple(pushes[0].detail.get("languages", ())) if pushes else ()


def of_patches(connection: Connection, name: str | None = None) -> list[Exchange]:
    """Every patch, or the one of that name, with each of its remotes, the last used first.

    Versions that were deleted count: they were seen there.
    """
    table, version, patch = schema.transfer, schema.version, schema.patch
    remote = schema.remote.c.location
    last = func.max(table.c.seq)
    query = (
        select(patch.c.namespace, patch.c.name, remote, func.max(version.c.number), last)
        .select_from(table.join(version).join(patch).join(schema.remote))
        .group_by(patch.c.namespace, patch.c.name, remote)
        .order_by(last.desc())
    )
    if name is not None:
        query = query.where(reading.named(name))
    return [
        Exchange(f"{namespace}/{half}", place, highest, seq)
        for namespace, half, place, highest, seq in connection.execute(query)
    ]


def _check_remote(name: str) -> None:
    bounds.check_text("the place of a remote", name, schema.MAX_LOCATION)


def _remote(connection: Connection, location: str) -> int:
    table = schema.remote
    row = connection.scalar(select(table.c.id).where(table.c.location == location))
    return row or storing.inserted_id(connection, table, {"location": location})
