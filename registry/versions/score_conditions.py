"""Conditions on scores, as people write them: `locality>=0.9`."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement

from ...patches.evaluation.measures import AGGREGATES, MEASURES
from ...patches.format.names import quoted
from ..bounds import check_text
from ..errors import QueryRefused

EXACT = ".exact-match"

SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {name.removesuffix(EXACT): name for name in MEASURES if name.endswith(EXACT)}
    | {name.rpartition(".")[2]: name for name in AGGREGATES}
)
"""Short names of measures: `locality` for `locality.exact-match`, `score` for `rome.score`."""

_CONDITION = re.compile(
    r"\s*([^\s<>=]+)\s*(>=|<=|>|<|=)\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*"
)
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ">=": operator.ge,
        "<=": operator.le,
        ">": operator.gt,
        "<": operator.lt,
        "=": operator.eq,
    }
)


@dataclass(frozen=True)
class ScoreCondition:
    """That the mean of a measure, after the edit, is above or below a number."""

    measure: str
    comparison: str
    number: float

    @classmethod
    def parse(cls, text: str) -> "ScoreCondition":
        """Read `MEASURE>=NUMBER`, or with > < <= or =; raises QueryRefused, LimitExceeded."""
        check_text("a condition on a score", text)
        match = _CONDITION.fullmatch(text)
        number = float(match[3]) if match else math.nan
        if match is None or not math.isfinite(number):
            raise QueryRefused(
                f"{quoted(text)} is not a condition on a score",
                hint="write a measure, one of >= > < <= =, and a number, as in 'locality>=0.9'",
            )
        return cls(SHORT_NAMES.get(match[1], match[1]), match[2], number)

    def met(self, value: ColumnElement[float]) -> ColumnElement[bool]:
        """The condition that a column's value is such a number."""
        found: ColumnElement[bool] = _COMPARISONS[self.comparison](value, self.number)
        return found
