"""Verification of the ledger: its chain, what repeats it, and whether the database guards it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from ..database import triggers
from .attached import Attached
from .chain import Walk, columns, walk
from .checkpoints import Checkpoint

COLUMNS = ("time", "actor", "action", "label", "patch", "digest")
"""What a row repeats of its body."""

_PAGE = 2_000


@dataclass(frozen=True)
class LedgerReport:
    """What verification found: how many entries are sound, and what is wrong.

    `head` is the hash of the last sound entry, `root` that of the Merkle tree over the sound ones,
    both in hexadecimal digits. `broken` is the number of the first entry that is not sound,
    `unguarded` names the triggers that the database lost or that say something else than they
    should, `rewritten` has the sizes of the checkpoints of which this ledger is no continuation;
    `flaw` says all of it in words.
    """

    sound: int
    head: str
    origin: str | None = None
    root: str | None = None
    broken: int | None = None
    flaw: str | None = None
    unguarded: tuple[str, ...] = ()
    rewritten: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing at all was found to be wrong."""
        return self.flaw is None


def verify(connection: Connection, checkpoints: Iterable[Checkpoint] = ()) -> LedgerReport:
    """Recompute the chain from its first entry, and look for the triggers that guard it.

    Stops at the first entry that is broken; a ledger without its first entry is broken too.
    A chain that was cut at its end, or made anew as a whole, is sound in itself: only a checkpoint
    that was kept elsewhere shows that.
    """
    spelled = _SPELLED[connection.dialect.name]
    with Attached(connection) as attached, stored(connection, COLUMNS) as rows:

        def further(row: Any, record: Mapping[str, Any]) -> str | None:  # noqa: ANN401
            if tuple(row[4:]) != spelled(columns(record)):
                return "its columns for searching are not what its body says"
            return attached.flaw(record)

        found = walk(rows, checkpoints, further)
        after = None if found.flaw else attached.flaw_after()
    return report(found, after, tuple(triggers.missing(connection)))


def report(found: Walk, after: str | None = None, unguarded: tuple[str, ...] = ()) -> LedgerReport:
    """The report of a walk, of what came after it, and of triggers that are not as they were."""
    broken = None if found.flaw is None else found.sound + 1
    flaws = [found.flaw, after, *found.rewritten.values()]
    if unguarded:
        flaws.append(
            f"the database lost or changed the triggers {', '.join(unguarded)}, "
            "so anything could write into the past"
        )
    return LedgerReport(
        sound=found.sound,
        head=found.head.hex(),
        origin=found.tip.origin if found.tip else None,
        root=found.tip.root.hex() if found.tip else None,
        broken=broken,
        flaw="; and ".join(filter(None, flaws)) or None,
        unguarded=unguarded,
        rewritten=tuple(sorted(found.rewritten)),
    )


@contextmanager
def stored(
    connection: Connection, further: Iterable[str] = (), most: int | None = None
) -> Iterator[Iterable[Any]]:
    """The rows of the ledger in their order, unfiltered: a Link's fields, then further columns.

    They are read as they lie there, so that nothing is turned into what it should be: on SQLite,
    where any column holds anything, texts come as bytes and values of a wrong kind as 0.
    """
    as_text, as_bytes = _READ[connection.dialect.name]
    names = [*map(as_bytes, ("prev_hash", "entry_hash", "body")), *map(as_text, further)]
    query = f"SELECT seq, {', '.join(names)} FROM ledger ORDER BY seq LIMIT :most"  # noqa: S608
    limit = {"most": 2**62 if most is None else most}
    rows = connection.execute(text(query), limit, execution_options={"yield_per": _PAGE})
    try:
        yield rows
    finally:
        rows.close()


def _sqlite_text(column: str) -> str:
    return (
        f"CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) "
        f"WHEN 'null' THEN NULL ELSE 0 END"
    )


def _sqlite_bytes(column: str) -> str:
    return f"CASE typeof({column}) WHEN 'blob' THEN {column} ELSE 0 END"


def _texts(values: Mapping[str, str | None]) -> tuple[str | None, ...]:
    return tuple(values.values())


def _encoded(values: Mapping[str, str | None]) -> tuple[bytes | None, ...]:
    return tuple(None if value is None else value.encode() for value in values.values())


_READ: Mapping[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "sqlite": (_sqlite_text, _sqlite_bytes),
    "postgresql": (str, str),
}
_SPELLED = {"sqlite": _encoded, "postgresql": _texts}
