"""Indexes that give versions in the order in which they came in, and pages of several at once.

Databases choose an index by what they know of a table on the whole, SQLite by averages and in a new
registry by nothing; but one word stands in all versions and another in one. So the choice is made
here: how many versions each condition finds is counted, up to a bound, and a page reads along the
index of the rarest one, from the newest version down, looking the other conditions up for each
version. So a page costs the same whether a condition holds for one version or for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select, union_all

from ..database.batches import chunks

COUNTED = 1_000
"""Versions beyond which it is not counted how many a condition finds."""

TOGETHER = 100
"""Values of one posting list that are looked up in one statement."""

Condition = ColumnElement[bool]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Postings:
    """The versions that have one of some values in `column`, as an index has them.

    `ids` is the column of their row numbers, of a table (or alias) that no other condition of the
    same search uses; `also` is what else must hold. Without a column, it is every row of a table.
    `exact` is false if there may be some that do not meet the condition, which then stands beside.
    """

    ids: ColumnElement[int]
    column: ColumnElement[str] | None = None
    values: Sequence[str] = ()
    also: tuple[Condition, ...] = ()
    exact: bool = True

    def met(self, version: ColumnElement[int]) -> Condition:
        """The condition that the version with this row number is one of them."""
        found = select(literal(1)).where(self.ids == version, *self.also)
        if self.column is not None:
            found = found.where(self.column.in_(self.values))
        return found.exists()

    def narrowed(self, connection: Connection) -> "Postings":
        """The same without the values that no version has."""
        if self.column is None:
            return self
        any_one = [select(self.column).where(self.column == v).limit(1) for v in self.values]
        there = [value for query in _together(any_one) for value in connection.scalars(query).all()]
        return replace(self, values=there)

    def counts(self, connection: Connection) -> list[int]:
        """How many there are for each value, up to the bound."""
        queries = _together([_counted(part) for part in self._parts()])
        return [count for query in queries for count in connection.scalars(query)]

    def page(
        self,
        connection: Connection,
        others: Sequence[Condition],
        *,
        below: int | None,
        limit: int,
    ) -> list[int]:
        """Row numbers below `below`, the highest first, of versions that meet the others too."""
        if below is not None:
            others = [*others, self.ids < below]
        newest = [
            part.where(*others).distinct().order_by(self.ids.desc()).limit(limit)
            for part in self._parts()
        ]
        found = {row for query in _together(newest) for row in connection.scalars(query).all()}
        return sorted(found, reverse=True)[:limit]

    def _parts(self) -> list[Select[int]]:
        """One query for each value, which an index answers in order."""
        every = select(self.ids).where(*self.also)
        if self.column is None:
            return [every]
        return [every.where(self.column == value) for value in self.values]


def rarest(connection: Connection, postings: Sequence[Postings]) -> Postings:
    """The one that finds fewest versions, as far as they are counted; the first of equals.

    One of which a value has more than are counted comes after all others.
    """
    if len(postings) == 1:
        return postings[0]
    counts = [each.counts(connection) for each in postings]
    ranks = [(COUNTED in each, sum(each)) for each in counts]
    return postings[ranks.index(min(ranks))]


def _counted(part: Select[int]) -> Select[int]:
    return select(func.count()).select_from(part.limit(COUNTED).subquery())


def _together(parts: Sequence[Select[Value]]) -> Iterator[Select[Value]]:
    """The queries in as few statements as the databases take."""
    if len(parts) == 1:
        yield parts[0]
        return
    for some in chunks(parts, TOGETHER):
        each = [select(part.subquery()) for part in some]
        yield select(union_all(*each).subquery())
