"""Where aliases are, as their rows say: the last move of each."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, and_, func, select

from ..database import schema


def target(connection: Connection, patch: int, alias: str) -> int | None:
    """Row of the version that an alias of a patch means, or None."""
    table = schema.alias_move
    query = (
        select(table.c.to_id)
        .where(table.c.patch_id == patch, table.c.name == alias)
        .order_by(table.c.seq.desc())
        .limit(1)
    )
    return connection.scalar(query)


def targets(connection: Connection, patch: int) -> Mapping[str, int]:
    """Row of the version that each alias of a patch means, by the alias's name."""
    table = schema.alias_move
    last = select(func.max(table.c.seq)).where(table.c.patch_id == patch).group_by(table.c.name)
    query = (
        select(table.c.name, table.c.to_id)
        .where(table.c.seq.in_(last), table.c.to_id.is_not(None))
        .order_by(table.c.name)
    )
    return {row.name: row.to_id for row in connection.execute(query)}


def meaning(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[str]]:
    """Names of the aliases that mean these versions, by the version's row number."""
    table, later = schema.alias_move, schema.alias_move.alias("later")
    moved_on = (
        select(later.c.seq)
        .where(
            and_(
                later.c.patch_id == table.c.patch_id,
                later.c.name == table.c.name,
                later.c.seq > table.c.seq,
            )
        )
        .exists()
    )
    query = (
        select(table.c.to_id, table.c.name)
        .where(table.c.to_id.in_(ids), ~moved_on)
        .order_by(table.c.name)
    )
    found: dict[int, list[str]] = {}
    for version, name in connection.execute(query):
        found.setdefault(version, []).append(name)
    return found
