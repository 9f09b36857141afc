"""Rows that stand under the number of an entry, and must say what the entry says.

What became of a version is read from these rows, and who did it from the entry; so a row without
its entry, or an entry without its row, is a rewritten history too.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, Self

from sqlalchemy import Connection, Select, select

from ..database import schema
from .events import Event

STATE_AFTER = {
    Event.VERSION_YANK.value: (schema.YANKED,),
    Event.VERSION_DELETE.value: (schema.DELETED,),
    Event.VERSION_RESTORE.value: (schema.LISTED, schema.YANKED),
}
TRANSFERS = dict(
    zip((Event.VERSION_PUSH.value, Event.VERSION_PULL.value), schema.DIRECTIONS, strict=True)
)
ALIAS_MOVE = Event.ALIAS_MOVE.value
BUILD_APPLY = Event.BUILD_APPLY.value
REMOTE_NAME = Event.REMOTE_NAME.value

_WITH_ROWS = frozenset((ALIAS_MOVE, BUILD_APPLY, REMOTE_NAME, *STATE_AFTER, *TRANSFERS))
_PAGE = 1_000

_Row = tuple[str, tuple[Any, ...]]


class Attached:
    """These rows in the order of their entries; use it in a `with` block."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open = ExitStack()

    def __enter__(self) -> Self:
        streams = (self._stream(name, query) for name, query in _queries().items())
        self._rows = merge(*streams, key=itemgetter(0))  # those of one number as in _queries
        self._next = next(self._rows, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def flaw(self, record: Mapping[str, Any]) -> str | None:
        """What is wrong with the rows under an entry; ask for each entry, in order."""
        seq = record["seq"]
        if record["action"] not in _WITH_ROWS and (self._next is None or self._next[0] > seq):
            return None
        expected = iter(_expected(record))
        while self._next is not None and self._next[0] <= seq:
            number, table, facts = self._next
            if number != seq or (table, facts) != next(expected, None):
                return f"a row of {table} under number {number} is not what the entry says"
            self._next = next(self._rows, None)
        missing = next(expected, None)
        return (
            f"its row of {missing[0]}, which says what came of it, is missing" if missing else None
        )

    def flaw_after(self) -> str | None:
        """What is wrong after the last entry."""
        if self._next is None:
            return None
        return f"a row of {self._next[1]} has the number {self._next[0]}, which no entry has"

    def _stream(self, table: str, query: Select[Any]) -> Iterator[tuple[int, str, tuple[Any, ...]]]:
        found = self._connection.execute(query, execution_options={"yield_per": _PAGE})
        self._open.callback(found.close)
        if table == "build_version":
            for seq, members in groupby(found, itemgetter(0)):
                yield seq, table, tuple((position, digest) for _, position, digest in members)
            return
        for seq, *facts in found:
            yield seq, table, _move(*facts) if table == "alias_move" else tuple(facts)


def _needs_rows(action: str, detail: Mapping[str, Any]) -> bool:
    """Whether an entry is never without a row that says what came of it.

    A registry of schema 0001 wrote no rows of builds and transfers, and less in their entries.
    """
    if action == BUILD_APPLY:
        return "versions" in detail
    return "remote" in detail if action in TRANSFERS else action in _WITH_ROWS


def _expected(record: Mapping[str, Any]) -> list[_Row]:
    """Table and facts of the rows that stand under an entry, in the order of `_queries`."""
    action, digest, detail = record["action"], record["subject"]["digest"], record["detail"]
    if not _needs_rows(action, detail):
        return []
    if action == ALIAS_MOVE:
        return [("alias_move", _facts(detail, "alias", "from", "to", "reason"))]
    if action == REMOTE_NAME:
        return [("remote_name", _facts(detail, "name", "location"))]
    if action in TRANSFERS:
        where = _facts(detail, "remote", "revision")
        return [("transfer", (digest, TRANSFERS[action], *where))]
    if action == BUILD_APPLY:
        members = tuple((position, one) for position, (_, one) in enumerate(detail["versions"]))
        return [("build", _facts(detail, "out", "base")), ("build_version", members)]
    if detail["state"] not in STATE_AFTER[action]:
        raise ValueError("no entry leads to this state")
    return [("standing", (digest, *_facts(detail, "state", "severity", "reason")))]


def _facts(detail: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(detail[name] for name in names)


def _move(*facts: Any) -> tuple[Any, ...]:  # noqa: ANN401
    namespace, name, alias, reason, *ends = facts
    patch = f"{namespace}/{name}"
    return (f"{patch}@{alias}", _label(patch, *ends[:2]), _label(patch, *ends[2:]), reason)


def _label(patch: str, version_id: int | None, number: int | None) -> str | None:
    """Label of a version of the patch; None if no version was meant."""
    return None if version_id is None else f"{patch}@{number}"


def _queries() -> dict[str, Select[Any]]:
    """Number and facts of each table's rows, in order."""
    version, patch, move = schema.version, schema.patch, schema.alias_move
    before, after = version.alias(), version.alias()
    standing, transfer, remote = schema.standing, schema.transfer, schema.remote
    build, member, named = schema.build, schema.build_version, schema.remote_name
    moves = (
        select(move.c.seq, patch.c.namespace, patch.c.name, move.c.name, move.c.reason)
        .add_columns(move.c.from_id, before.c.number, move.c.to_id, after.c.number)
        .outerjoin_from(move, patch, patch.c.id == move.c.patch_id)
        .outerjoin(before, (before.c.id == move.c.from_id) & (before.c.patch_id == patch.c.id))
        .outerjoin(after, (after.c.id == move.c.to_id) & (after.c.patch_id == patch.c.id))
        .order_by(move.c.seq)
    )
    standings = (
        select(standing.c.seq, version.c.digest, standing.c.state)
        .add_columns(standing.c.severity, standing.c.reason)
        .outerjoin_from(standing, version, version.c.id == standing.c.version_id)
        .order_by(standing.c.seq)
    )
    transfers = (
        select(transfer.c.seq, version.c.digest, transfer.c.direction)
        .add_columns(remote.c.location, transfer.c.revision)
        .outerjoin_from(transfer, version, version.c.id == transfer.c.version_id)
        .outerjoin(remote, remote.c.id == transfer.c.remote_id)
        .order_by(transfer.c.seq)
    )
    builds = select(build.c.seq, build.c.location, build.c.base).order_by(build.c.seq)
    members = select(member.c.seq, member.c.position, member.c.digest).order_by(
        member.c.seq, member.c.position
    )
    names = select(named.c.seq, named.c.name, named.c.location).order_by(named.c.seq)
    return {
        "alias_move": moves,
        "standing": standings,
        "transfer": transfers,
        "build": builds,
        "build_version": members,
        "remote_name": names,
    }
