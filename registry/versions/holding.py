"""Which compositions hold a version: those made from it that keep its delta, or what it holds."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Connection, select, union

from ...patches.format.patch import DELTA
from ..database import schema
from . import reading
from .reading import VersionInfo

MAX_HOLDERS = 1_000


def holders(connection: Connection, digest: str) -> list[VersionInfo]:
    """The compositions that the version with this digest is in, also through others.

    The newest first, MAX_HOLDERS at most; those that are deleted among them.
    """
    seen = {digest}
    level: Sequence[str] = [digest]
    while level and len(seen) <= MAX_HOLDERS:
        level = [found for found in _children(connection, level) if found not in seen]
        seen.update(level[: MAX_HOLDERS + 1 - len(seen)])
    seen.discard(digest)
    if not seen:
        return []
    version, operation = schema.version.c, schema.operation.c
    keep = (
        select(operation.source)
        .where(operation.version_id == version.id, operation.source.in_(_deltas(digest)))
        .correlate(schema.version)
        .exists()
    )
    return reading.infos(connection, reading.choose(version.digest.in_(seen), keep))


def _children(connection: Connection, digests: Sequence[str]) -> Sequence[str]:
    version, parent = schema.version, schema.version_parent
    query = (
        select(version.c.digest)
        .join(parent, parent.c.version_id == version.c.id)
        .where(parent.c.digest.in_(digests))
        .distinct()
        .limit(MAX_HOLDERS + 1)
    )
    return connection.scalars(query).all()


def _deltas(digest: str) -> CompoundSelect[Any]:
    """The deltas that a version holds: its own, and those from which its operations came."""
    version, file, operation = schema.version.alias(), schema.version_file, schema.operation.alias()
    own = (
        select(file.c.digest)
        .join(version, version.c.id == file.c.version_id)
        .where(version.c.digest == digest, file.c.path == DELTA)
    )
    parts = (
        select(operation.c.source)
        .join(version, version.c.id == operation.c.version_id)
        .where(version.c.digest == digest, operation.c.source.is_not(None))
    )
    return union(own, parts)
