"""Which versions fit a base: one of that name, or the very checkpoint, tensor by tensor."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, select, true

from ..database import schema
from .postings import Condition, Postings

Digests = Mapping[str, str]
"""sha256 of tensors of a checkpoint, by name."""

OfBase = Callable[[ColumnElement[str]], Condition]
"""Gives the condition that the fingerprint in a column is that of the base."""


def listed(connection: Connection, base: str | Digests) -> Postings:
    """Versions that name this base, or have a tensor in common with the checkpoint.

    Those of a checkpoint are more than fit it: `fitting` says which do.
    """
    if not isinstance(base, str):
        tensors = schema.version_tensor.alias()
        digests = sorted(set(base.values()))
        return Postings(tensors.c.version_id, tensors.c.before, digests).narrowed(connection)
    table = schema.version_base.alias()
    name, revision = _meant(connection, base)
    also = () if revision is None else (table.c.revision == revision,)
    return Postings(table.c.version_id, table.c.name, [name], also)


def fitting(
    connection: Connection, rows: Sequence[int], base: str | Digests | None
) -> Sequence[int]:
    """Those of some versions whose touched tensors are all those of the checkpoint, at one base."""
    if base is None or isinstance(base, str):
        return rows
    table = schema.version_tensor.c
    query = select(table.version_id, table.position, table.tensor, table.before).where(
        table.version_id.in_(rows)
    )
    fits: dict[tuple[int, int], bool] = {}
    for version, position, tensor, before in connection.execute(query):
        place = version, position
        fits[place] = fits.get(place, True) and base.get(tensor) == before
    found = {version for (version, _), fit in fits.items() if fit}
    return [row for row in rows if row in found]


def evaluated(
    connection: Connection, base: str | Digests | None, fingerprint: str | None
) -> OfBase:
    """Whether an evaluation is of a base: of a checkpoint with this fingerprint, if it is given.

    Of a base that is named, all count but those of checkpoints known here under another name.
    """
    if fingerprint is not None:
        return lambda column: column == fingerprint
    if not isinstance(base, str):
        return lambda _: true()
    name, revision = _meant(connection, base)

    def of_base(column: ColumnElement[str]) -> Condition:
        table = schema.base.alias()
        same = table.c.name == name
        if revision is not None:
            same = and_(same, table.c.revision.is_not_distinct_from(revision))
        other = select(table.c.id).where(table.c.fingerprint == column, not_(same))
        return ~exists(other.correlate_except(table))

    return of_base


def _meant(connection: Connection, base: str) -> tuple[str, str | None]:
    """Name and revision that `name@revision` means; a name may hold an @, too."""
    table = schema.version_base.c
    head, at, tail = base.rpartition("@")
    if not at or connection.scalar(select(table.version_id).where(table.name == base).limit(1)):
        return base, None
    return head, tail
