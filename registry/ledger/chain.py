"""The chain of hashes that ties the ledger's entries, and how a break in it is found.

An entry's leaf is sha256(0x00 ‖ body), as in RFC 6962, and its hash sha256(previous hash ‖ leaf).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select

from ..database import schema, triggers

FIRST_HASH = bytes(32)
NOT_OURS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a body may raise that weightpatch did not write."""

_PAGE = 1_000
_VERSION_LABEL = re.compile(r"([a-z0-9._-]{1,96}/[a-z0-9._-]{1,96})@[1-9][0-9]{0,9}")


@dataclass(frozen=True)
class LedgerReport:
    """What verification found: how many entries are sound, and what is wrong.

    `broken` is the number of the first entry that is not sound, `unguarded` names the triggers that
    the database lost or that say something else than they should; `flaw` says both in words.
    """

    sound: int
    head: str
    broken: int | None = None
    flaw: str | None = None
    unguarded: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the whole chain is sound, and the database still guards it."""
        return self.flaw is None


def entry_hash(previous: bytes, body: bytes) -> bytes:
    """Hash of the entry with this body that follows the entry with the hash `previous`."""
    leaf = hashlib.sha256(b"\x00" + body).digest()
    return hashlib.sha256(previous + leaf).digest()


def columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a row repeats of its body; `patch` is the name that a version's label begins with."""
    label: str = record["subject"]["label"]
    version = _VERSION_LABEL.fullmatch(label)
    return {
        "time": record["time"],
        "actor": record["actor"],
        "action": record["action"],
        "label": label,
        "patch": version[1] if version else None,
        "digest": record["subject"]["digest"],
    }


def verify(connection: Connection) -> LedgerReport:
    """Recompute the chain from its first entry, and look for the triggers that guard it.

    Stops at the first entry that is broken; a ledger without its first entry is broken too.
    A chain that was cut at its end, or made anew as a whole, is sound in itself: only a copy of an
    old head shows that.
    """
    report = _chain(connection)
    unguarded = tuple(triggers.missing(connection))
    if not unguarded:
        return report
    guards = (
        f"the database lost or changed the triggers {', '.join(unguarded)}, "
        "so anything could write into the past"
    )
    flaw = f"{report.flaw}; and {guards}" if report.flaw else guards
    return replace(report, flaw=flaw, unguarded=unguarded)


def _chain(connection: Connection) -> LedgerReport:
    previous, sound = FIRST_HASH, 0
    query = select(schema.ledger).order_by(schema.ledger.c.seq)
    rows = connection.execution_options(yield_per=_PAGE).execute(query)
    for row in rows:
        flaw = _flaw(row, sound + 1, previous)
        if flaw:
            rows.close()
            return LedgerReport(sound, previous.hex(), sound + 1, flaw)
        previous, sound = row.entry_hash, sound + 1
    if not sound:
        return LedgerReport(0, previous.hex(), 1, "entry 1 is missing, and no other is there")
    return LedgerReport(sound, previous.hex())


def _flaw(row: Row[Any], seq: int, previous: bytes) -> str | None:
    if row.seq != seq:
        return f"entry {seq} is missing, entry {row.seq} follows"
    if row.prev_hash != previous:
        return "it does not hold the hash of the entry before"
    if not isinstance(row.body, bytes) or row.entry_hash != entry_hash(previous, row.body):
        return "its content is not what its hash covers"
    return _column_flaw(row)


def _column_flaw(row: Row[Any]) -> str | None:
    try:
        record = json.loads(row.body)
        repeated = {"seq": record["seq"], **columns(record)}
    except NOT_OURS:
        return "its body is not one that weightpatch writes"
    if any(getattr(row, column) != value for column, value in repeated.items()):
        return "its columns for searching are not what its body says"
    return None
