"""The append-only log: each entry holds the hash of the one before, so a changed past shows."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, tuple_

from ...patches.errors import InputError, LimitExceeded, NameRefused
from ...patches.format import jsonfile
from ...patches.format.names import quoted
from ..bounds import page, row_number
from ..database import schema
from ..errors import DatabaseFailed
from .chain import FIRST_HASH, NOT_OURS, columns, entry_hash
from .events import Event
from .merkle import leaf_hash

MAX_ACTOR = 255
MAX_BODY = 256 << 10
MAX_PAGE = 1_000


@dataclass(frozen=True)
class Subject:
    """What an entry is about: a label such as `namespace/name@3`, and a digest if it has one."""

    label: str
    digest: str | None = None


REGISTRY = Subject("registry")
"""What an entry is about that is about no version."""


@dataclass(frozen=True)
class LedgerEntry:
    """One entry, as it is read back."""

    seq: int
    time: str
    actor: str
    action: str
    subject: str
    digest: str | None
    detail: Mapping[str, Any]
    entry_hash: str


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
        return spelled(self.now())

    def append(
        self,
        connection: Connection,
        action: Event,
        subject: Subject,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Add an entry within a writer's transaction; gives its number.

        What of a path is not UTF-8 is written with backslashes, as `writable` does.
        Raises LimitExceeded, DatabaseFailed for a ledger without its first entry, and ManifestError
        for a detail that is not JSON.
        """
        last, previous = _last(connection)
        seq = last + 1
        if (seq == 1) != (action is Event.REGISTRY_CREATE):
            raise DatabaseFailed(
                "the ledger does not begin with the making of this registry",
                why="its entries were taken away, or they are those of something else",
                hint="nothing was changed; restore the database from a backup",
            )
        record: dict[str, Any] = {
            "seq": seq,
            "time": self.time(),
            "actor": self.actor,
            "action": action.value,
            "subject": {"label": writable(subject.label), "digest": subject.digest},
            "detail": writable(dict(detail or {})),
            "tool": self.tool,
        }
        body = jsonfile.canonical(record, what="a ledger entry")
        if len(record["subject"]["label"]) > schema.MAX_LABEL:
            raise LimitExceeded(
                f"what an entry is about is longer than {schema.MAX_LABEL} characters"
            )
        if len(body) > MAX_BODY:
            raise LimitExceeded(f"a ledger entry would be larger than {MAX_BODY} bytes")
        connection.execute(
            insert(schema.ledger).values(
                seq=seq,
                prev_hash=previous,
                entry_hash=entry_hash(previous, leaf_hash(body)),
                body=body,
                **columns(record),
            )
        )
        return seq


def spelled(time: datetime) -> str:
    """A time as entries spell it, to the second."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def writable(value: Any) -> Any:  # noqa: ANN401 - any value that JSON knows
    r"""The value with each half of a character in its texts spelled out, as in `\udcff`.

    Python reads the bytes of a path that are not UTF-8 as such halves; JSON has no room for them.
    """
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Mapping):
        return {writable(key): writable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [writable(each) for each in value]
    return value


@dataclass(frozen=True)
class Filter:
    """What an entry must say to be read; a field that is None asks for nothing.

    `since` and `until` are times as entries spell them, both included.
    """

    patch: str | None = None
    digest: str | None = None
    actor: str | None = None
    action: str | None = None
    since: str | None = None
    until: str | None = None

    @classmethod
    def of(
        cls,
        patch: str | None,
        digest: str | None,
        actor: str | None,
        action: str | None,
        since: datetime | None,
        until: datetime | None,
    ) -> Self:
        """A filter by an action that there is and times with a zone; raises InputError."""
        if action is not None and action not in set(Event):
            raise InputError(
                f"the ledger knows no action {quoted(action)}",
                hint=f"ask for one of {', '.join(Event)}",
            )
        start, end = (None if time is None else given(time) for time in (since, until))
        return cls(patch, digest, actor, action, start, end)


EVERYTHING = Filter()
_FEW = 10_000
"""Entries of a span of time below which its ends are looked up, not walked to."""
_EXACT = ("patch", "digest", "actor", "action")


def read(
    connection: Connection,
    wanted: Filter = EVERYTHING,
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[LedgerEntry]:
    """Entries that the filter lets through, from the newest down, below number `before`.

    Newest is the highest number, or the latest time if the filter asks for times and nothing else.
    """
    table = schema.ledger
    before = None if before is None else row_number(before)
    rows = select(table.c.body, table.c.entry_hash)
    same = [(table.c[name], getattr(wanted, name)) for name in _EXACT]
    narrow = [column == value for column, value in same if value is not None]
    times = _times(wanted)
    if times and not narrow:
        rows = rows.where(*times).order_by(table.c.time.desc(), table.c.seq.desc())
        if before is not None:
            last = select(table.c.time, table.c.seq).where(table.c.seq == before)
            rows = rows.where(tuple_(table.c.time, table.c.seq) < last.scalar_subquery())
    else:
        rows = rows.where(*narrow).order_by(table.c.seq.desc())
        if before is not None:
            rows = rows.where(table.c.seq < before)
        if times:
            rows = _within(connection, rows, wanted)
    found = connection.execute(rows.limit(page(limit, MAX_PAGE)))
    return [_entry(body, entry) for body, entry in found]


def _within(
    connection: Connection, rows: Select[bytes, bytes], wanted: Filter
) -> Select[bytes, bytes]:
    """The rows of a span of time, found along the index of what else the filter asks for."""
    table, times = schema.ledger, _times(wanted)
    # Without the text added to it, SQLite might walk along the index of times instead.
    rows = rows.where(*_times(wanted, table.c.time.concat("")))
    few = select(table.c.seq).where(*times).limit(_FEW).subquery()
    count = connection.scalar(select(func.count()).select_from(few)) or 0
    if wanted.until is None and count == _FEW:
        return rows
    first, last = connection.execute(_ends(times)).one()
    return rows.where(table.c.seq.between(first, last))


def _times(
    wanted: Filter, time: ColumnElement[str] = schema.ledger.c.time
) -> list[ColumnElement[bool]]:
    """The conditions on an entry's time, if the filter has any."""
    ends = [(wanted.since, time.__ge__), (wanted.until, time.__le__)]
    return [compare(moment) for moment, compare in ends if moment is not None]


def _ends(times: list[ColumnElement[bool]]) -> Select[int, int]:
    """The first and last number of an entry of these times, out of the index of times alone.

    Clocks go back, so that entries are not in the order of their times. `+ 0` keeps SQLite from
    walking along the numbers instead.
    """
    seq = schema.ledger.c.seq + 0
    return select(func.min(seq), func.max(seq)).where(*times)


def given(time: datetime) -> str:
    """A time that somebody asks for, as entries spell it; raises InputError without a time zone."""
    if time.tzinfo is None:
        raise InputError(
            "a time without a time zone says nothing", hint="add one, such as datetime.UTC"
        )
    return spelled(time)


def _last(connection: Connection) -> tuple[int, bytes]:
    """Number and hash of the newest entry; 0 and zeros where there is none."""
    table = schema.ledger
    query = select(table.c.seq, table.c.entry_hash).order_by(table.c.seq.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.seq, row.entry_hash) if row else (0, FIRST_HASH)


def _entry(body: bytes, entry: bytes) -> LedgerEntry:
    try:
        record = json.loads(body)
        return LedgerEntry(
            seq=record["seq"],
            time=record["time"],
            actor=record["actor"],
            action=record["action"],
            subject=record["subject"]["label"],
            digest=record["subject"]["digest"],
            detail=record["detail"],
            entry_hash=entry.hex(),
        )
    except NOT_OURS:
        raise DatabaseFailed(
            "an entry of the ledger cannot be read",
            why="it was not written by weightpatch, or changed since",
            hint="verify the ledger to find the first broken entry",
        ) from None
