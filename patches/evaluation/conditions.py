"""Conditions on scores as people write them, `locality>=0.9`, and whether an edit meets them."""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

from ..errors import GateFailed, InputError
from ..format.names import quoted
from .base import Mean
from .definitions import ANSWERS, EFFICIENCY, RETENTION, TEXT
from .measures import MEASURES

EXACT = ".exact-match"
ROME = "rome."
MAX_CONDITIONS = 100

SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {name.removesuffix(EXACT): name for name in MEASURES if name.endswith(EXACT)}
    | {name.removeprefix(ROME): name for name in MEASURES if name.startswith(ROME)}
)
"""Short names of measures: `locality` for `locality.exact-match`, `es` for `rome.es`."""

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ">=": operator.ge,
        "<=": operator.le,
        ">": operator.gt,
        "<": operator.lt,
        "=": operator.eq,
    }
)
_SCORED_BY = (
    (ANSWERS, "--suite requests scores it, where a request has prompts for it"),
    (TEXT, "--suite text scores it"),
    (RETENTION, "--retention 1,10,50 scores it, for a version made as a sequence"),
    (EFFICIENCY, "create measures it when it makes a version; see weightpatch show"),
)
_CONDITION = re.compile(
    r"\s*([^\s<>=]+)\s*(>=|<=|>|<|=)\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*"
)


@dataclass(frozen=True)
class Condition:
    """That the mean of a measure, after the edit, is above or below a number."""

    measure: str
    comparison: str
    number: float

    def __str__(self) -> str:
        return f"{self.measure}{self.comparison}{self.number!r}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `MEASURE>=NUMBER`, or with > < <= or =; raises InputError."""
        match = _CONDITION.fullmatch(text)
        number = float(match[3]) if match else math.nan
        if match is None or not math.isfinite(number):
            raise InputError(
                f"{quoted(text)} is not a condition on a score",
                hint="write a measure, one of >= > < <= =, and a number, as in 'locality>=0.9'",
            )
        return cls(full_name(match[1]), match[2], number)

    def holds(self, value: float) -> bool:
        """Compare a value with the number, both as they are: 0.9 is at least 0.9."""
        return bool(COMPARISONS[self.comparison](value, self.number))


@dataclass(frozen=True)
class Verdict:
    """Whether a condition holds, of which suite's mean; `value` is None if nothing scored it."""

    condition: Condition
    suite: str | None
    value: float | None

    @property
    def met(self) -> bool:
        """Whether it was scored and the condition holds."""
        return self.value is not None and self.condition.holds(self.value)

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.condition} (not scored)"
        return f"{self.condition} (it is {self.value!r})"

    def to_json(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
        return {
            "measure": self.condition.measure,
            "comparison": self.condition.comparison,
            "number": self.condition.number,
            "suite": self.suite,
            "value": self.value,
            "met": self.met,
        }


def full_name(measure: str) -> str:
    """The measure that a name or short name stands for, in capitals or not; any other as it is."""
    folded = measure.casefold()
    return SHORT_NAMES.get(folded, folded if folded in MEASURES else measure)


def require_measures(conditions: Sequence[Condition], others: Collection[str] = ()) -> None:
    """Raise InputError for a measure that is neither ours nor one of those of other suites."""
    short = {name: shorter for shorter, name in SHORT_NAMES.items()}
    for condition in conditions:
        if condition.measure not in MEASURES and condition.measure not in others:
            known = (short.get(name, name) for name in dict.fromkeys([*MEASURES, *others]))
            raise InputError(
                f"no score is called {quoted(condition.measure)}",
                hint=f"known are {', '.join(known)}",
            )


def parse_gate(text: str) -> tuple[Condition, ...]:
    """Read conditions separated by commas, all of which must hold; raises InputError."""
    parts = text.split(",")
    if len(parts) > MAX_CONDITIONS:
        raise InputError(f"a gate has more than {MAX_CONDITIONS} conditions")
    return tuple(dict.fromkeys(map(Condition.parse, parts)))


def judge(
    conditions: Sequence[Condition], means: Sequence[tuple[str, Mapping[str, Mean]]]
) -> list[Verdict]:
    """Judge each condition by every suite, given with its means, that scored the measure.

    A measure that none scored gives one verdict, which is not met.
    """
    verdicts: list[Verdict] = []
    for condition in conditions:
        found = [
            Verdict(condition, suite, scored[condition.measure].after)
            for suite, scored in means
            if condition.measure in scored
        ]
        verdicts += found or [Verdict(condition, None, None)]
    return verdicts


def require_met(verdicts: Sequence[Verdict], label: str) -> None:
    """Raise GateFailed, with all that failed, unless every verdict is met.

    Its hint says what scores the measures that were not scored.
    """
    failed = [verdict for verdict in verdicts if not verdict.met]
    unscored = dict.fromkeys(one.condition.measure for one in failed if one.value is None)
    if failed:
        raise GateFailed(
            f"{label} does not pass the gate",
            why="it fails " + ", ".join(map(str, failed)),
            hint="; ".join(f"{name}: {_scored_by(name)}" for name in unscored) or None,
        )


def _scored_by(measure: str) -> str:
    found = (hint for measures, hint in _SCORED_BY if measure in measures)
    return next(found, "the suite that was asked has no score of it for these requests")
