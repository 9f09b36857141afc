"""Search: versions by their words, base, method, author, tensors, subjects and scores."""

from dataclasses import replace

from sqlalchemy import Connection

from ...patches.checkpoints.checkpoint import Checkpoint
from ...patches.format.manifest import BaseRecord
from .. import bounds
from ..database import schema
from ..database.connections import Database
from . import bases, postings, reading, scored, standing, terms
from .postings import Postings
from .query import Query
from .reading import MAX_PAGE, VersionInfo
from .tensor_names import matching, touched

FITTED = 200
"""Versions whose tensors are compared with those of a checkpoint at once, even for a small page."""


def find(
    database: Database,
    query: Query,
    base: str | BaseRecord | Checkpoint | None,
    *,
    limit: int,
    before: str | None,
) -> list[VersionInfo]:
    """A page of what meets the query on a base; of a checkpoint no more is hashed than needed.

    A BaseRecord knows some tensors of a checkpoint, and not which one it is: with it, evaluations
    on any checkpoint count. Raises what `page` does.
    """
    if isinstance(base, Checkpoint):
        with database.reading() as connection:
            names = [name for name in touched(connection) if name in base.tensors]
        fingerprint = base.fingerprint if query.scores else None
        query = replace(query, base=base.digests(names), fingerprint=fingerprint)
    elif isinstance(base, BaseRecord):
        query = replace(query, base={name: each.sha256 for name, each in base.tensors.items()})
    else:
        query = replace(query, base=base)
    with database.reading() as connection:
        return page(connection, query, limit=limit, before=before)


def page(
    connection: Connection, query: Query, *, limit: int, before: str | None
) -> list[VersionInfo]:
    """What meets the query, the last that came in first, below the digest `before`.

    Raises NotFound if no version has that digest, LimitExceeded for a pattern that too many tensors
    meet.
    """
    limit = bounds.page(limit, MAX_PAGE)
    below = None if before is None else reading.identity(connection, before)
    scored.require_known(connection, query.scores)
    lists = _lists(connection, query)
    if lists is None:
        return []
    every = Postings(schema.version.alias("every").c.id)
    driving = postings.rarest(connection, lists or [every])
    version = driving.ids
    others = [each.met(version) for each in lists if each.exact and each is not driving]
    of_base = bases.evaluated(connection, query.base, query.fingerprint)
    others += [scored.met(condition, version, of_base) for condition in query.scores]
    others.append(standing.kept(version))
    by_tensors = query.base is not None and not isinstance(query.base, str)
    most = max(limit, FITTED) if by_tensors else limit
    found: list[int] = []
    while len(found) < limit:
        rows = driving.page(connection, others, below=below, limit=most)
        found += bases.fitting(connection, rows, query.base)
        if len(rows) < most:
            break
        below = rows[-1]
    chosen = reading.choose(schema.version.c.id.in_(found[:limit]))
    return reading.infos(connection, chosen)


def _lists(connection: Connection, query: Query) -> list[Postings] | None:
    """A posting list for each condition that an index answers in order; None if nothing can be."""
    lists = [_term("word", word) for word in query.words]
    if query.subject is not None:
        lists.append(_term("subject", terms.subject(query.subject)))
    if query.author is not None:
        lists.append(_own("author", query.author))
    if query.method is not None:
        lists.append(_own("method", query.method))
    if query.tensor is not None:
        table = schema.operation.alias()
        names = matching(connection, query.tensor)
        lists.append(Postings(table.c.version_id, table.c.tensor, names))
    if query.base is not None:
        lists.append(bases.listed(connection, query.base))
    lists += scored.rare(connection, query.scores)
    return None if any(each.column is not None and not each.values for each in lists) else lists


def _term(name: str, term: str) -> Postings:
    table = schema.term.alias()
    return Postings(table.c.version_id, table.c.term, [term], (table.c.field == name,))


def _own(column: str, value: str) -> Postings:
    table = schema.version.alias()
    return Postings(table.c.id, table.c[column], [value])
