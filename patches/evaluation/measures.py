"""All measures of all suites, and their arithmetic."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from .definitions import ANSWERS, EFFICIENCY, RETENTION, TEXT, Measure

MEASURES: Mapping[str, Measure] = MappingProxyType({**ANSWERS, **TEXT, **EFFICIENCY, **RETENTION})
"""By name, in the order in which they are shown."""


LARGEST = 1e300
"""No score is larger, so that millions of them have a mean."""


def exact_match(found: Sequence[int], expected: Sequence[int]) -> float:
    """1 if all tokens are the expected ones, else 0."""
    return float(tuple(found) == tuple(expected))


def token_mean(found: Sequence[int], expected: Sequence[int]) -> float:
    """Share of positions at which the token is the expected one."""
    return sum(map(int.__eq__, found, expected)) / len(expected)


def preferred(nll: float, other: float) -> float:
    """1 if the answer with `nll` is strictly the likelier of the two, else 0."""
    return float(nll < other)


def magnitude(nll: float, other: float) -> float:
    """exp(-nll) - exp(-other): by how much the first answer is the likelier."""
    return math.exp(-nll) - math.exp(-other)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, the same in any order of the values."""
    return math.fsum(values) / len(values)


def harmonic_mean(values: Sequence[float]) -> float:
    """Return n / Σ 1/x, or 0 if one of the values is 0."""
    least = min(values)
    if least <= 0:
        return 0.0
    return least * (len(values) / math.fsum(least / value for value in values))


AGGREGATES: Mapping[str, tuple[tuple[str, ...], Callable[[Sequence[float]], float]]] = (
    MappingProxyType({"rome.score": (("rome.es", "rome.ps", "rome.ns"), harmonic_mean)})
)
"""Measures of a whole evaluation, each with the measures whose means it is made from."""
