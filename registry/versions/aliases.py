"""Aliases: names that move from version to version of a patch, each move on record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from ...patches.format.names import quoted
from ..bounds import check_text, page, row_number
from ..database import schema
from ..errors import AliasHeld, ReferenceRefused
from ..ledger.entries import Subject, given
from ..ledger.events import Event
from ..store import Store
from . import alias_rows, reading, resolving, standing
from .reading import VersionInfo
from .refs import ByName, parse
from .withdrawing import MAX_REASON

NOWHERE = "none"
"""What an alias is expected to mean that is not there."""

MAX_MOVES = 1_000


@dataclass(frozen=True)
class AliasMove:
    """One move of an alias `namespace/name@alias`, and the ledger entry that records it.

    `before` and `after` are the labels of the versions that it meant, None where it was nowhere.
    `is_new` is false where an alias was to be moved to where it is already.
    """

    alias: str
    before: str | None
    after: str | None
    who: str
    when: str
    reason: str
    seq: int
    is_new: bool = True


def move(
    store: Store, alias: str, reference: str | None, *, reason: str, expect: str | None
) -> AliasMove:
    """Let an alias mean another version, or none."""
    named = _alias(alias)
    check_text("the reason", reason, MAX_REASON)
    with store.database.writing() as connection:
        patch = resolving.patch_row(connection, named)
        old = _version(connection, alias_rows.target(connection, patch, str(named.alias)))
        _require_expected(connection, alias, old, expect)
        new = None if reference is None else _new(connection, named, reference)
        if (old and old.digest) == (new and new.digest):
            return _unmoved(connection, patch, named)
        seq = _append(store, connection, alias, old, new, reason)
        row = {
            "seq": seq,
            "patch_id": patch,
            "name": named.alias,
            "from_id": _row(connection, old),
            "to_id": _row(connection, new),
            "reason": reason,
        }
        connection.execute(insert(schema.alias_move).values(**row))
        return _moves(connection, _query(patch, named).limit(1), named)[0]


def current(connection: Connection, name: str) -> Mapping[str, VersionInfo]:
    """The aliases of `namespace/name`, each with the version that it means."""
    patch = resolving.patch_row(connection, _name(name))
    targets = alias_rows.targets(connection, patch)
    chosen = reading.choose(schema.version.c.id.in_(targets.values()))
    infos = reading.infos(connection, chosen)
    return dict(sorted((alias, info) for info in infos for alias in info.aliases))


def moves(
    connection: Connection, reference: str, *, before: int | None, limit: int
) -> list[AliasMove]:
    """Moves of one alias or of all of a patch, the newest first, those below number `before`."""
    meant = parse(reference)
    if not isinstance(meant, ByName) or meant.number is not None:
        raise _no_alias(reference)
    patch = resolving.patch_row(connection, meant)
    query = _query(patch, meant).limit(page(limit, MAX_MOVES))
    if before is not None:
        query = query.where(schema.alias_move.c.seq < row_number(before))
    found = _moves(connection, query, meant)
    if meant.alias is not None and before is None and limit > 0 and not found:
        raise resolving.no_alias(connection, patch, meant)
    return found


def at(connection: Connection, alias: str, time: datetime) -> VersionInfo | None:
    """The version that an alias meant at a time, by the clocks of those who moved it."""
    named = _alias(alias)
    moment = given(time)
    patch = resolving.patch_row(connection, named)
    if connection.execute(_query(patch, named).limit(1)).first() is None:
        raise resolving.no_alias(connection, patch, named)
    query = _query(patch, named).where(schema.ledger.c.time <= moment).limit(1)
    move = connection.execute(query).first()
    return _version(connection, move.to_id) if move else None


def _alias(text: str) -> ByName:
    meant = parse(text)
    if isinstance(meant, ByName) and meant.alias is not None:
        return meant
    raise _no_alias(text)


def _name(text: str) -> ByName:
    meant = parse(text)
    if isinstance(meant, ByName) and meant.alias is None and meant.number is None:
        return meant
    raise ReferenceRefused(f"{quoted(text)} does not name a patch", hint="write namespace/name")


def _no_alias(text: str) -> ReferenceRefused:
    return ReferenceRefused(
        f"{quoted(text)} does not name an alias",
        why="digits alone are the number of a version"
        if text.rpartition("@")[2].isdigit()
        else None,
        hint="write namespace/name@alias, the alias not of digits alone",
    )


def _new(connection: Connection, named: ByName, reference: str) -> VersionInfo:
    """The version that the alias shall mean, which must be whole and of the same patch."""
    info = resolving.resolve(connection, reference)
    if info.name != named.full_name:
        raise AliasHeld(
            f"{named.full_name}@{named.alias} cannot mean {info.label}",
            why="an alias belongs to one patch, and means versions of it",
            hint=f"name a version of {named.full_name}",
        )
    if info.standing and info.standing.deleted:
        raise standing.deleted(info.label, info.standing)
    if info.standing:
        raise standing.yanked(
            info.label, info.standing, hint="let the alias mean a version that is not yanked"
        )
    standing.require_usable(connection, [info.digest])
    return info


def _require_expected(
    connection: Connection, alias: str, old: VersionInfo | None, expect: str | None
) -> None:
    if expect is None:
        return
    expected = None if expect == NOWHERE else resolving.resolve(connection, expect).digest
    if (old and old.digest) != expected:
        raise AliasHeld(
            f"{alias} means {old.label if old else 'nothing'}, not {expect}",
            why="somebody moved it, or it never was there",
            hint="look at its history, then decide anew: weightpatch alias --history "
            f"{alias.partition('@')[0]}",
        )


def _append(
    store: Store,
    connection: Connection,
    alias: str,
    old: VersionInfo | None,
    new: VersionInfo | None,
    reason: str,
) -> int:
    about = new or old
    detail = {
        "alias": alias,
        "from": old.label if old else None,
        "to": new.label if new else None,
        "reason": reason,
    }
    subject = about.subject if about else Subject(alias)
    return store.ledger.append(connection, Event.ALIAS_MOVE, subject, detail)


def _unmoved(connection: Connection, patch: int, named: ByName) -> AliasMove:
    """The last move, for an alias that is already where it shall be."""
    found = _moves(connection, _query(patch, named).limit(1), named, is_new=False)
    if not found:
        raise resolving.no_alias(connection, patch, named)
    return found[0]


def _version(connection: Connection, row: int | None) -> VersionInfo | None:
    return None if row is None else reading.find(connection, schema.version.c.id == row)


def _row(connection: Connection, info: VersionInfo | None) -> int | None:
    return None if info is None else reading.identity(connection, info.digest)


def _query(patch: int, named: ByName) -> Select[Any]:
    table, ledger = schema.alias_move, schema.ledger
    old, new = schema.version.alias("old"), schema.version.alias("new")
    query = (
        select(table, ledger.c.actor, ledger.c.time, old.c.number, new.c.number.label("to_number"))
        .join(ledger, ledger.c.seq == table.c.seq)
        .outerjoin(old, old.c.id == table.c.from_id)
        .outerjoin(new, new.c.id == table.c.to_id)
        .where(table.c.patch_id == patch)
        .order_by(table.c.seq.desc())
    )
    return query if named.alias is None else query.where(table.c.name == named.alias)


def _moves(
    connection: Connection, query: Select[Any], named: ByName, *, is_new: bool = True
) -> list[AliasMove]:
    name = named.full_name
    return [
        AliasMove(
            alias=f"{name}@{row.name}",
            before=row.number and f"{name}@{row.number}",
            after=row.to_number and f"{name}@{row.to_number}",
            who=row.actor,
            when=row.time,
            reason=row.reason,
            seq=row.seq,
            is_new=is_new,
        )
        for row in connection.execute(query)
    ]
