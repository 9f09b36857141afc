"""Lineage: what a version was made from, and what was made from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from .. import bounds
from ..database import schema
from ..database.batches import chunks
from . import reading
from .reading import VersionInfo

PARENT, SUPERSEDES = "parent", "supersedes"
MAX_RELATIVES = 100_000


@dataclass(frozen=True, order=True)
class Edge:
    """That version `child` was made from `parent`, or supersedes it; both are digests."""

    child: str
    parent: str
    relation: str


@dataclass(frozen=True)
class Lineage:
    """The relatives of the version with the digest `of`, and of each the nearest first.

    `ancestors` and `descendants` are digests; `versions` holds what is known of them, and lacks
    those that are not here. `complete` is false if there are more than were asked for, or may be
    since not all edges were read.
    """

    of: str
    ancestors: tuple[str, ...]
    descendants: tuple[str, ...]
    edges: tuple[Edge, ...]
    versions: Mapping[str, VersionInfo]
    complete: bool


Step = Callable[[Connection, Sequence[str], int], tuple[list[Edge], bool]]
"""Gives edges of some versions, at most so many, and whether these are all."""


def of(connection: Connection, digest: str, *, limit: int) -> Lineage:
    """Follow parents and children of a version, at most `limit` of each."""
    limit = bounds.page(limit, MAX_RELATIVES)
    above, up, all_above = _follow(connection, digest, _parents, limit)
    below, down, all_below = _follow(connection, digest, _children, limit)
    return Lineage(
        of=digest,
        ancestors=tuple(above),
        descendants=tuple(below),
        edges=tuple(dict.fromkeys((*up, *down))),
        versions=_known(connection, [digest, *above, *below]),
        complete=all_above and all_below,
    )


def _follow(
    connection: Connection, start: str, step: Step, limit: int
) -> tuple[list[str], list[Edge], bool]:
    """Relatives breadth first, the edges to them, and whether these are all.

    Digests cannot form a circle, but rows from elsewhere might.
    """
    seen = {start: None}
    edges: list[Edge] = []
    level = [start]
    whole = True
    while level:
        found, all_found = step(connection, level, limit + len(seen))
        whole = whole and all_found
        level = []
        for edge in found:
            for end in (edge.parent, edge.child):
                if end in seen:
                    continue
                if len(seen) > limit:
                    return list(seen)[1:], edges, False
                seen[end] = None
                level.append(end)
            edges.append(edge)
    return list(seen)[1:], edges, whole


def _parents(connection: Connection, digests: Sequence[str], most: int) -> tuple[list[Edge], bool]:
    """What these versions were made from; `most` of each relation and batch."""
    own = schema.version.c.digest
    return _edges(connection, own, own, digests, most)


def _children(connection: Connection, digests: Sequence[str], most: int) -> tuple[list[Edge], bool]:
    """What was made from these versions; `most` of each relation and batch."""
    made, instead = schema.version_parent.c.digest, schema.version.c.supersedes
    return _edges(connection, made, instead, digests, most)


def _edges(
    connection: Connection,
    made: ColumnElement[Any],
    instead: ColumnElement[Any],
    digests: Sequence[str],
    most: int,
) -> tuple[list[Edge], bool]:
    """Edges at which `made` or `instead` is one of the digests, and whether these are all."""
    edges: list[Edge] = []
    whole = True
    for some in chunks(digests):
        for relation, query in _relations(made.in_(some), instead.in_(some)):
            rows = connection.execute(query.limit(most + 1)).all()
            edges += [Edge(row.digest, row.other, relation) for row in rows[:most]]
            whole = whole and len(rows) <= most
    return edges, whole


def _relations(
    made: ColumnElement[bool], instead: ColumnElement[bool]
) -> Iterable[tuple[str, Select[Any]]]:
    """A query for each relation: the version, and the one that it came from."""
    version, parent = schema.version.c, schema.version_parent.c
    parents = (
        select(version.digest, parent.digest.label("other"))
        .join_from(schema.version_parent, schema.version)
        .where(made)
        .order_by(version.id, parent.position)
    )
    superseded = (
        select(version.digest, version.supersedes.label("other"))
        .where(instead, version.supersedes.is_not(None))
        .order_by(version.id)
    )
    return (PARENT, parents), (SUPERSEDES, superseded)


def _known(connection: Connection, digests: Sequence[str]) -> Mapping[str, VersionInfo]:
    found: dict[str, VersionInfo] = {}
    for some in chunks(digests):
        chosen = reading.choose(schema.version.c.digest.in_(some))
        found.update({info.digest: info for info in reading.infos(connection, chosen)})
    return found
