"""The append-only log: each entry holds the hash of the one before, so a changed past shows.

An entry's leaf is sha256(0x00 ‖ body), as in RFC 6962, and its hash sha256(previous hash ‖ leaf).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from ..patches import jsonfile
from ..patches.errors import LimitExceeded, NameRefused
from ..patches.names import quoted
from . import schema
from .errors import DatabaseFailed
from .events import Event

FIRST_HASH = bytes(32)
MAX_ACTOR = 255
MAX_BODY = 256 << 10
_PAGE = 1_000
_NOT_OURS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Subject:
    """What an entry is about: a label such as `namespace/name@3`, and a digest if it has one."""

    label: str
    digest: str | None = None


@dataclass(frozen=True)
class LedgerEntry:
    """One entry, as it is read back."""

    seq: int
    time: str
    actor: str
    action: str
    label: str
    digest: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class LedgerReport:
    """What verification found: how many entries are sound, and the first that is not."""

    sound: int
    head: str
    broken: int | None = None
    flaw: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the whole chain is sound."""
        return self.broken is None


@dataclass(frozen=True)
class Ledger:
    """Appends entries by one actor; `now` is the clock and `tool` names the program."""

    actor: str
    now: Callable[[], datetime]
    tool: str

    def __post_init__(self) -> None:
        if not self.actor.isprintable() or not 1 <= len(self.actor) <= MAX_ACTOR:
            raise NameRefused(
                f"{quoted(self.actor)} cannot name an actor",
                why=f"it must be 1 to {MAX_ACTOR} characters that can be printed",
            )

    def time(self) -> str:
        """The present, as in 2026-01-31T12:00:00Z."""
        return self.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def append(
        self,
        connection: Connection,
        action: Event,
        subject: Subject,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Add an entry within a writer's transaction; gives its number.

        Raises LimitExceeded, and ManifestError for a detail that is not JSON.
        """
        last = _last(connection)
        seq, previous = (last.seq + 1, last.entry_hash) if last else (1, FIRST_HASH)
        record: dict[str, Any] = {
            "seq": seq,
            "time": self.time(),
            "actor": self.actor,
            "action": action.value,
            "subject": {"label": subject.label, "digest": subject.digest},
            "detail": dict(detail or {}),
            "tool": self.tool,
        }
        body = jsonfile.canonical(record, what="a ledger entry")
        if len(body) > MAX_BODY or len(subject.label) > schema.MAX_LABEL:
            raise LimitExceeded(f"a ledger entry would be larger than {MAX_BODY} bytes")
        connection.execute(
            insert(schema.ledger).values(
                seq=seq,
                prev_hash=previous,
                entry_hash=_entry_hash(previous, body),
                body=body,
                **_columns(record),
            )
        )
        return seq


def read(
    connection: Connection,
    *,
    patch: str | None = None,
    digest: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[LedgerEntry]:
    """Entries from the newest down, about one patch or one digest if asked, below `before`."""
    table = schema.ledger
    query = select(table.c.body).order_by(table.c.seq.desc()).limit(limit)
    if patch is not None:
        query = query.where(table.c.patch == patch)
    if digest is not None:
        query = query.where(table.c.digest == digest)
    if before is not None:
        query = query.where(table.c.seq < before)
    return [_entry(body) for body in connection.scalars(query)]


def verify(connection: Connection) -> LedgerReport:
    """Recompute the chain from its first entry; stops at the first that is broken.

    A chain that was cut at its end, or made anew as a whole, is sound in itself: only a copy of an
    old head shows that.
    """
    previous, sound = FIRST_HASH, 0
    query = select(schema.ledger).order_by(schema.ledger.c.seq)
    rows = connection.execution_options(yield_per=_PAGE).execute(query)
    for row in rows:
        flaw = _flaw(row, sound + 1, previous)
        if flaw:
            rows.close()
            return LedgerReport(sound, previous.hex(), sound + 1, flaw)
        previous, sound = row.entry_hash, sound + 1
    return LedgerReport(sound, previous.hex())


def _flaw(row: Row[Any], seq: int, previous: bytes) -> str | None:
    if row.seq != seq:
        return f"entry {seq} is missing, entry {row.seq} follows"
    if row.prev_hash != previous:
        return "it does not hold the hash of the entry before"
    if not isinstance(row.body, bytes) or row.entry_hash != _entry_hash(previous, row.body):
        return "its content is not what its hash covers"
    return _column_flaw(row)


def _column_flaw(row: Row[Any]) -> str | None:
    try:
        record = json.loads(row.body)
        repeated = {"seq": record["seq"], **_columns(record)}
    except _NOT_OURS:
        return "its body is not one that weightpatch writes"
    if any(getattr(row, column) != value for column, value in repeated.items()):
        return "its columns for searching are not what its body says"
    return None


def _last(connection: Connection) -> Row[Any] | None:
    table = schema.ledger
    query = select(table.c.seq, table.c.entry_hash).order_by(table.c.seq.desc()).limit(1)
    return connection.execute(query).first()


def _entry_hash(previous: bytes, body: bytes) -> bytes:
    leaf = hashlib.sha256(b"\x00" + body).digest()
    return hashlib.sha256(previous + leaf).digest()


def _columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the row repeats of its body; `patch` is the name that a version's label begins with."""
    label: str = record["subject"]["label"]
    about_version = record["action"].startswith("version.")
    return {
        "time": record["time"],
        "actor": record["actor"],
        "action": record["action"],
        "label": label,
        "patch": label.partition("@")[0] if about_version else None,
        "digest": record["subject"]["digest"],
    }


def _entry(body: bytes) -> LedgerEntry:
    try:
        record = json.loads(body)
        return LedgerEntry(
            seq=record["seq"],
            time=record["time"],
            actor=record["actor"],
            action=record["action"],
            label=record["subject"]["label"],
            digest=record["subject"]["digest"],
            detail=record["detail"],
        )
    except _NOT_OURS:
        raise DatabaseFailed(
            "an entry of the ledger cannot be read",
            why="it was not written by weightpatch, or changed since",
            hint="verify the ledger to find the first broken entry",
        ) from None
