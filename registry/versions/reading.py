"""Versions as they are read: one of them, a page of them, the files of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from ...patches.format.manifest import FileRecord
from ...patches.format.names import quoted
from ..bounds import check_text
from ..database import schema
from ..errors import NotFound
from ..ledger.entries import Subject

SHOWN_SUBJECTS = 5
MAX_PAGE = 1_000

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


def find(connection: Connection, *conditions: ColumnElement[bool]) -> VersionInfo | None:
    """The newest version that meets the conditions, or None."""
    found = infos(connection, choose(*conditions).limit(1))
    return found[0] if found else None


def numbered(connection: Connection, name: str, number: int) -> VersionInfo | None:
    """The version `name@number`, or None."""
    return find(connection, named(name), schema.version.c.number == number)


def require(connection: Connection, digest: str) -> VersionInfo:
    """The version with this digest; raises NotFound."""
    return infos(connection, choose(schema.version.c.id == identity(connection, digest)))[0]


def files(connection: Connection, digest: str) -> Mapping[str, FileRecord]:
    """The files of the version with this digest, patch.json among them."""
    table, version, blob = schema.version_file, schema.version, schema.blob
    query = (
        select(table.c.path, blob.c.digest, blob.c.size)
        .join(version, version.c.id == table.c.version_id)
        .join(blob, blob.c.digest == table.c.digest)
        .where(version.c.digest == digest)
    )
    return {row.path: FileRecord(row.digest, row.size) for row in connection.execute(query)}


def identity(connection: Connection, digest: str) -> int:
    """Row number of the version with this digest; raises NotFound."""
    table = schema.version
    row = connection.scalar(select(table.c.id).where(table.c.digest == digest))
    if row is None:
        raise NotFound(f"no version has the digest {quoted(digest)}")
    return int(row)


def page(
    connection: Connection, *, name: str | None, text: str | None, limit: int, before: str | None
) -> list[VersionInfo]:
    """Versions from the last recorded down, below the one with the digest `before`.

    Raises NotFound if no version has that digest.
    """
    query = choose().limit(min(limit, MAX_PAGE))
    if name is not None:
        query = query.where(named(name))
    if text is not None:
        check_text("the text to look for", text)
        query = query.where(_mentions(text))
    if before is not None:
        query = query.where(schema.version.c.id < identity(connection, before))
    return infos(connection, query)


def named(full_name: str) -> ColumnElement[bool]:
    """The condition that a version is one of `namespace/name`."""
    namespace, _, name = full_name.partition("/")
    return and_(schema.patch.c.namespace == namespace, schema.patch.c.name == name)


def choose(*conditions: ColumnElement[bool]) -> Join:
    """The query for versions that meet the conditions, the last that came in first."""
    joined = schema.version.join(schema.patch)
    return (
        select(schema.version, schema.patch.c.namespace, schema.patch.c.name)
        .select_from(joined)
        .where(*conditions)
        .order_by(schema.version.c.id.desc())
    )


def infos(connection: Connection, query: Join) -> list[VersionInfo]:
    """What a query of `choose` finds, with four more queries however many versions there are."""
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
