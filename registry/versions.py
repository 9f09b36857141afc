"""Versions as they are read: one, a page of them, and the one that a reference means."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from . import schema
from .errors import Ambiguous, NotFound
from .ledger import Subject
from .refs import DIGEST, ByDigest, ByName, fold, parse

SHOWN_SUBJECTS = 5
_NEAR = 1_000
_LISTED = 5

Join = Select[Any]


@dataclass(frozen=True)
class VersionInfo:
    """What a list shows of a version.

    `bases` are written `id@revision`; `subjects` are those of the first requests, of which there
    are `requests` in all; `tensors` is the number of tensors that it changes, `delta_size` the
    bytes of its delta. `is_new` is true only where publishing or admitting stored it just now.
    """

    name: str
    version: int
    digest: str
    method: str
    author: str
    licence: str | None
    created: str
    message: str
    bases: tuple[str, ...]
    subjects: tuple[str, ...]
    requests: int
    tensors: int
    delta_size: int
    is_new: bool = False

    @property
    def label(self) -> str:
        """`namespace/name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def subject(self) -> Subject:
        """The version as the subject of a ledger entry."""
        return Subject(self.label, self.digest)


def resolve(connection: Connection, reference: str) -> VersionInfo:
    """The version that a reference means.

    Raises ReferenceRefused, NameRefused, NotFound, Ambiguous.
    """
    match parse(reference):
        case ByDigest(prefix):
            return _by_prefix(connection, prefix)
        case ByName() as meant:
            return _by_name(connection, meant)


def find(connection: Connection, *conditions: ColumnElement[bool]) -> VersionInfo | None:
    """The newest version that meets the conditions, or None."""
    found = _infos(connection, _query(*conditions).limit(1))
    return found[0] if found else None


def identity(connection: Connection, digest: str) -> int | None:
    """Row number of the version with this digest, or None."""
    return connection.scalar(select(schema.version.c.id).where(schema.version.c.digest == digest))


def page(
    connection: Connection, *, name: str | None, text: str | None, limit: int, before: str | None
) -> list[VersionInfo]:
    """Versions from the last recorded down, below the one with the digest `before`.

    Raises NotFound if no version has that digest.
    """
    query = _query().limit(limit)
    if name is not None:
        namespace, _, half = name.partition("/")
        query = query.where(schema.patch.c.namespace == namespace, schema.patch.c.name == half)
    if text is not None:
        query = query.where(_mentions(text))
    if before is not None:
        last = identity(connection, before)
        if last is None:
            raise NotFound(f"no version has the digest {before!r}")
        query = query.where(schema.version.c.id < last)
    return _infos(connection, query)


def _mentions(text: str) -> ColumnElement[bool]:
    in_requests = select(schema.request.c.version_id).where(
        schema.request.c.subject.icontains(text, autoescape=True)
    )
    return or_(
        schema.patch.c.name.icontains(text, autoescape=True),
        schema.version.c.message.icontains(text, autoescape=True),
        schema.version.c.author.icontains(text, autoescape=True),
        schema.version.c.id.in_(in_requests),
    )


def _query(*conditions: ColumnElement[bool]) -> Join:
    joined = schema.version.join(schema.patch)
    return (
        select(schema.version, schema.patch.c.namespace, schema.patch.c.name)
        .select_from(joined)
        .where(*conditions)
        .order_by(schema.version.c.id.desc())
    )


def _by_prefix(connection: Connection, prefix: str) -> VersionInfo:
    # A range, not LIKE, so that the index on digests serves; "g" sorts after every hex digit.
    digest = schema.version.c.digest
    within = and_(digest >= prefix, digest < f"{prefix}g")
    found = _infos(connection, _query(within).limit(_LISTED))
    if not found:
        raise NotFound(
            f"no version has a digest that begins with {prefix}",
            hint="list the versions that are here, or pull the one that is meant",
        )
    if len(found) > 1:
        raise Ambiguous(
            f"several versions have a digest that begins with {prefix}",
            why=", ".join(f"{info.label} {DIGEST}{info.digest[:16]}" for info in found),
            hint="write more digits",
        )
    return found[0]


def _by_name(connection: Connection, meant: ByName) -> VersionInfo:
    named = and_(schema.patch.c.namespace == meant.namespace, schema.patch.c.name == meant.name)
    newest = schema.version.c.number.desc()
    query = _query(named).order_by(None).order_by(newest).limit(_LISTED)
    if meant.number is None:
        found = _infos(connection, query.limit(1))
    else:
        found = _infos(connection, query.where(schema.version.c.number == meant.number))
    if found:
        return found[0]
    there = [info.label for info in _infos(connection, query)]
    if there:
        raise NotFound(
            f"{meant.full_name} has no version {meant.number}", why=f"newest: {', '.join(there)}"
        )
    near = _near(connection, meant)
    raise NotFound(
        f"there is no patch {meant.full_name} in this registry",
        hint=f"did you mean {' or '.join(near)}?" if near else "pull it, or list what is here",
    )


def _near(connection: Connection, meant: ByName) -> list[str]:
    table = schema.patch
    alike = or_(table.c.namespace == meant.namespace, table.c.folded == fold(meant.name))
    query = select(table.c.namespace, table.c.name).where(alike).limit(_NEAR)
    names = [f"{row.namespace}/{row.name}" for row in connection.execute(query)]
    folded = {fold(name): name for name in names}
    close = difflib.get_close_matches(fold(meant.full_name), folded, n=3, cutoff=0.7)
    return [folded[name] for name in close]


def _infos(connection: Connection, query: Join) -> list[VersionInfo]:
    rows = connection.execute(query).all()
    ids = [row.id for row in rows]
    if not ids:
        return []
    bases, subjects = _bases(connection, ids), _subjects(connection, ids)
    requests = _count(connection, ids, schema.request.c.position)
    tensors = _count(connection, ids, schema.operation.c.tensor)
    return [
        _info(
            row, bases[row.id], subjects.get(row.id, ()), requests.get(row.id, 0), tensors[row.id]
        )
        for row in rows
    ]


def _info(
    row: Row[Any], bases: Sequence[str], subjects: Sequence[str], requests: int, tensors: int
) -> VersionInfo:
    return VersionInfo(
        name=f"{row.namespace}/{row.name}",
        version=row.number,
        digest=row.digest,
        method=row.method,
        author=row.author,
        licence=row.licence,
        created=row.created,
        message=row.message,
        bases=tuple(bases),
        subjects=tuple(subjects),
        requests=requests,
        tensors=tensors,
        delta_size=row.delta_size,
    )


def _bases(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[str]]:
    table = schema.version_base
    query = (
        select(table.c.version_id, table.c.name, table.c.revision)
        .where(table.c.version_id.in_(ids))
        .order_by(table.c.version_id, table.c.position)
    )
    found: dict[int, list[str]] = {}
    for version, name, revision in connection.execute(query):
        found.setdefault(version, []).append(f"{name}@{revision}" if revision else name)
    return found


def _subjects(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[str]]:
    table = schema.request
    query = (
        select(table.c.version_id, table.c.subject)
        .where(table.c.version_id.in_(ids), table.c.position < SHOWN_SUBJECTS)
        .order_by(table.c.version_id, table.c.position)
    )
    found: dict[int, list[str]] = {}
    for version, subject in connection.execute(query):
        found.setdefault(version, []).append(subject)
    return found


def _count(
    connection: Connection, ids: Sequence[int], column: ColumnElement[Any]
) -> Mapping[int, int]:
    """Distinct values of a column of a table of versions' parts, by version."""
    version: ColumnElement[int] = column.table.c.version_id
    query = select(version, func.count(column.distinct())).where(version.in_(ids)).group_by(version)
    return {row[0]: row[1] for row in connection.execute(query)}
