"""The names of the tensors that versions change, and patterns of them."""

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from ...patches.errors import LimitExceeded
from ...patches.format.names import quoted
from ..database import schema

MAX_NAMES = 2_000


def touched(connection: Connection) -> list[str]:
    """Every tensor that some version changes, once.

    One look into the index for each, however many versions change it.
    """
    tensor = schema.operation.c.tensor
    names = select(func.min(tensor).label("name")).cte("names", recursive=True)
    following = select(func.min(tensor)).where(tensor > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    return list(connection.scalars(select(names.c.name).where(names.c.name.is_not(None))))


def matching(connection: Connection, pattern: str) -> list[str]:
    """The tensor of that name, or those that a pattern with `*` means; raises LimitExceeded."""
    if "*" not in pattern:
        return [pattern]
    found = [name for name in touched(connection) if _meets(name, pattern.split("*"))]
    if len(found) > MAX_NAMES:
        raise LimitExceeded(
            f"{quoted(pattern)} means {len(found)} tensors, more than {MAX_NAMES}",
            hint="write more of the name",
        )
    return found


def _meets(name: str, parts: Iterable[str]) -> bool:
    """Whether the parts stand in the name in this order, the first and last at its ends."""
    first, *middle, last = parts
    if not name.startswith(first) or len(name) < len(first) + len(last):
        return False
    place, end = len(first), len(name) - len(last)
    for part in middle:
        place = name.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return name.endswith(last)
