"""Conditions on scores, as a search sets them."""

from dataclasses import dataclass
from typing import Self

from sqlalchemy import ColumnElement

from ...patches.errors import InputError
from ...patches.evaluation.conditions import COMPARISONS, SHORT_NAMES, Condition
from ..bounds import check_text
from ..errors import QueryRefused

__all__ = ["SHORT_NAMES", "ScoreCondition"]


@dataclass(frozen=True)
class ScoreCondition(Condition):
    """A condition that a column's value can be asked to meet."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `MEASURE>=NUMBER`, or with > < <= or =; raises QueryRefused, InputError."""
        check_text("a condition on a score", text)
        try:
            return super().parse(text)
        except InputError as error:
            raise QueryRefused(error.message, hint=error.hint) from None

    def met(self, value: ColumnElement[float]) -> ColumnElement[bool]:
        """The condition that a column's value is such a number."""
        found: ColumnElement[bool] = COMPARISONS[self.comparison](value, self.number)
        return found
