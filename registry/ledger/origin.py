"""The name that a ledger has for good: it comes from its first entry."""

from sqlalchemy import Connection, select

from ..database import schema
from .checkpoints import origin_of


def origin(connection: Connection) -> str | None:
    """The origin that checkpoints of this ledger have; None for a ledger without entries."""
    table = schema.ledger
    first = connection.scalar(select(table.c.entry_hash).where(table.c.seq == 1))
    return None if first is None else origin_of(first)
