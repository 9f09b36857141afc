"""Whether a version is listed, yanked or deleted: the last word on it, and what that refuses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select, union

from ...patches.format.patch import DELTA
from ..database import schema
from ..database.schema import DELETED, LISTED, MALICIOUS, YANKED
from ..errors import Deleted, Yanked
from ..ledger.events import Event


@dataclass(frozen=True)
class Standing:
    """What was said of a version that is not simply listed.

    `state` is "yanked" or "deleted"; `severity` is "minor", "major" or "malicious", or None for a
    version that was deleted without having been yanked. A deleted version keeps the severity that
    it had.
    """

    state: str
    severity: str | None
    reason: str
    who: str
    when: str

    @property
    def deleted(self) -> bool:
        """Whether it may not be used, and its files are taken away."""
        return self.state == DELETED

    @property
    def malicious(self) -> bool:
        """Whether the version must not be used, whatever it is called."""
        return self.severity == MALICIOUS

    def __str__(self) -> str:
        how = f"{self.state} ({self.severity})" if self.severity else self.state
        return f"{how} by {self.who} on {self.when[:10]}: {self.reason}"


@dataclass(frozen=True)
class Malicious:
    """A version that must not be used, and who said so, when and why."""

    label: str
    digest: str
    standing: Standing


def stacks(connection: Connection, ids: Sequence[int]) -> Mapping[int, Sequence[Standing]]:
    """What was said of versions and not taken back, by row number, the last word at the end."""
    table, ledger = schema.standing, schema.ledger
    query = (
        select(table, ledger.c.actor, ledger.c.time, ledger.c.action)
        .join(ledger, ledger.c.seq == table.c.seq)
        .where(table.c.version_id.in_(ids))
        .order_by(table.c.seq)
    )
    found: dict[int, list[Standing]] = {}
    for row in connection.execute(query):
        stack = found.setdefault(row.version_id, [])
        if row.action == Event.VERSION_RESTORE:
            del stack[-1:]
        else:
            stack.append(Standing(row.state, row.severity, row.reason, row.actor, row.time))
    return found


def last_words(connection: Connection, ids: Sequence[int]) -> Mapping[int, Standing]:
    """The standing of those versions that are not simply listed, by row number."""
    return {row: stack[-1] for row, stack in stacks(connection, ids).items() if stack}


def listed() -> ColumnElement[bool]:
    """The condition that a version is neither yanked nor deleted."""
    return _state() == LISTED


def kept(version: ColumnElement[int] = schema.version.c.id) -> ColumnElement[bool]:
    """The condition that a version, by the column of its row number, is not deleted."""
    return _state(version) != DELETED


def _state(version: ColumnElement[int] = schema.version.c.id) -> ColumnElement[str]:
    table = schema.standing.alias()
    last = (
        select(table.c.state)
        .where(table.c.version_id == version)
        .order_by(table.c.seq.desc())
        .limit(1)
        .correlate_except(table)
        .scalar_subquery()
    )
    return func.coalesce(last, LISTED)


def yanked(label: str, standing: Standing, *, hint: str) -> Yanked:
    """The error for a version that was yanked, and may not be meant or used as it was."""
    how = f"yanked as {MALICIOUS}" if standing.malicious else YANKED
    return Yanked(f"{label} was {how}", why=_why(standing), hint=hint)


def deleted(label: str, standing: Standing, *, what: str = "") -> Deleted:
    """The error for a version that is not there any more; `what` says more of the version."""
    return Deleted(
        f"{label}, {what}, was deleted" if what else f"{label} was deleted",
        why=_why(standing),
        hint="use another version, or take it back: "
        f'weightpatch delete {label} --undo --reason "…"',
    )


def require_usable(connection: Connection, digests: Iterable[str]) -> None:
    """Raise Yanked if what one of these versions holds is known to be malicious."""
    for found in malicious(connection, digests):
        raise yanked(
            found.label,
            found.standing,
            hint="do not use it, nor what holds it; show, verify, diff and log still read it",
        )


def malicious(connection: Connection, digests: Iterable[str]) -> list[Malicious]:
    """What is known to be malicious of what these versions hold, themselves among it.

    `digests` are sha256 in full, of versions and of deltas; those of what is not here say nothing.
    A version holds its own delta, and those from which its operations came.
    """
    version, patch, file = schema.version, schema.patch, schema.version_file
    wanted = list(dict.fromkeys(digests))
    own = select(file.c.digest).join(version).where(version.c.digest.in_(wanted), _is_delta())
    parts = select(schema.operation.c.source).join(version).where(version.c.digest.in_(wanted))
    # A union, not an OR, for which PostgreSQL would read whole tables.
    held = union(
        select(version.c.id).where(version.c.digest.in_(wanted)),
        *(
            select(file.c.version_id).where(file.c.digest.in_(deltas), _is_delta())
            for deltas in (wanted, own, parts)
        ),
    )
    query = (
        select(
            version.c.id,
            version.c.digest,
            version.c.number,
            patch.c.namespace,
            patch.c.name,
        )
        .join(patch)
        .where(version.c.id.in_(held))
        .order_by(version.c.id)
    )
    rows = {row.id: row for row in connection.execute(query)}
    words = last_words(connection, list(rows))
    return [
        Malicious(f"{row.namespace}/{row.name}@{row.number}", row.digest, words[row.id])
        for row in rows.values()
        if row.id in words and words[row.id].malicious
    ]


def _is_delta() -> ColumnElement[bool]:
    return schema.version_file.c.path == DELTA


def _why(standing: Standing) -> str:
    return f"{standing.who} said on {standing.when[:10]}: {standing.reason}"
