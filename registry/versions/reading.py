"""Versions as they are read: one of them, a page of them, the files of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from ...patches.digests import is_sha256
from ...patches.format.manifest import FileRecord
from ...patches.format.names import quoted
from .. import bounds
from ..database import schema
from ..errors import NotFound
from ..ledger.entries import Subject
from . import alias_rows, standing
from .standing import Standing

SHOWN_SUBJECTS = 5
MAX_PAGE = 1_000

Join = Select[Any]


@dataclass(frozen=True)
class VersionInfo:
    """What a list shows of a version.

    `bases` are written `id@revision`; `subjects` are those of the first requests, of which there
    are `requests` in all; `tensors` is the number of tensors that it changes, `delta_size` the
    bytes of its delta. `supersedes` is the digest of the version that it replaces, `superseded_by`
    the labels of those that replace it and are neither yanked nor deleted, `aliases` the names that
    mean it now, as in `stable`. `standing` says who yanked or deleted it, and why; None if nobody
    did. Of a deleted version `message` and `subjects` are left empty. `is_new` is true only where
    publishing or admitting stored it just now.
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
    supersedes: str | None = None
    superseded_by: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    standing: Standing | None = None
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
    query = select(table.c.id).where(table.c.digest == digest)
    row = connection.scalar(query) if is_sha256(digest) else None
    if row is None:
        raise NotFound(f"no version has the digest {quoted(digest)}")
    return int(row)


def subject(connection: Connection, digest: str) -> tuple[int, Subject]:
    """Row number of the version with this digest, and what ledger entries call it; NotFound."""
    version = identity(connection, digest)
    row = connection.execute(choose(schema.version.c.id == version)).one()
    return version, _info(row).subject


def page(
    connection: Connection, *, name: str | None, limit: int, before: str | None
) -> list[VersionInfo]:
    """Versions below the one with the digest `before`, those that were deleted left out.

    Of the whole registry the last recorded comes first, of one patch the highest number. Raises
    NotFound if no version (of the patch) has that digest.
    """
    query = choose(standing.kept()).limit(bounds.page(limit, MAX_PAGE))
    version = schema.version.c
    if name is None:
        if before is not None:
            query = query.where(version.id < identity(connection, before))
        return infos(connection, query)
    query = query.where(named(name)).order_by(None).order_by(version.number.desc())
    if before is not None:
        last = infos(connection, choose(version.id == identity(connection, before)))[0]
        if last.name != name:
            raise NotFound(f"{last.label} is no version of {name}")
        query = query.where(version.number < last.version)
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
    """What a query of `choose` finds, with seven more queries however many versions there are."""
    rows = connection.execute(query).all()
    ids = [row.id for row in rows]
    if not ids:
        return []
    bases, subjects = _bases(connection, ids), _subjects(connection, ids)
    requests, tensors = _requests(connection, ids), _tensors(connection, ids)
    words, aliases = standing.last_words(connection, ids), alias_rows.meaning(connection, ids)
    newer = _newer(connection, [row.digest for row in rows])
    found = [
        replace(
            _info(row),
            bases=tuple(bases.get(row.id, ())),
            subjects=tuple(subjects.get(row.id, ())),
            requests=requests.get(row.id, 0),
            tensors=tensors.get(row.id, 0),
            superseded_by=tuple(newer.get(row.digest, ())),
            aliases=tuple(aliases.get(row.id, ())),
            standing=words.get(row.id),
        )
        for row in rows
    ]
    return [_veiled(info) if info.standing and info.standing.deleted else info for info in found]


def _veiled(info: VersionInfo) -> VersionInfo:
    """A deleted version without what people wrote in it."""
    return replace(info, message="", subjects=())


def _info(row: Row[Any]) -> VersionInfo:
    """What stands in the version's own row."""
    return VersionInfo(
        name=f"{row.namespace}/{row.name}",
        version=row.number,
        digest=row.digest,
        method=row.method,
        author=row.author,
        licence=row.licence,
        created=row.created,
        message=row.message,
        bases=(),
        subjects=(),
        requests=0,
        tensors=0,
        delta_size=row.delta_size,
        supersedes=row.supersedes,
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


def _newer(connection: Connection, digests: Sequence[str]) -> Mapping[str, list[str]]:
    """Labels of the versions that supersede those with these digests, by digest."""
    version, patch = schema.version, schema.patch
    query = (
        select(version.c.supersedes, patch.c.namespace, patch.c.name, version.c.number)
        .join(patch)
        .where(version.c.supersedes.in_(digests), standing.listed())
        .order_by(version.c.id)
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.supersedes, []).append(f"{row.namespace}/{row.name}@{row.number}")
    return found


def _requests(connection: Connection, ids: Sequence[int]) -> Mapping[int, int]:
    """How many requests each version has: the last position and one, for there may be many."""
    version, request = schema.version.c, schema.request.c
    last = select(func.max(request.position)).where(request.version_id == version.id)
    query = select(version.id, last.scalar_subquery()).where(version.id.in_(ids))
    found = connection.execute(query)
    return {row: position + 1 for row, position in found if position is not None}


def _tensors(connection: Connection, ids: Sequence[int]) -> Mapping[int, int]:
    """How many tensors each version changes."""
    table = schema.operation.c
    query = (
        select(table.version_id, func.count(table.tensor.distinct()))
        .where(table.version_id.in_(ids))
        .group_by(table.version_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
