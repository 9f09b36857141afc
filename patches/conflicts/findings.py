"""One thing that two patches have to do with each other, and how grave it is."""

from collections.abc import Iterable
from dataclasses import dataclass, field

CONFLICT, WARNING, NOTE = "conflict", "warning", "note"
SEVERITIES = (CONFLICT, WARNING, NOTE)
"""Gravest first."""

NOT_COMPARED = "not compared"
"""Counted beside the severities: pairs of deltas on a tensor of which nothing is known."""

FACTS, WEIGHTS, BEHAVIOUR = "facts", "weights", "behaviour"

BASE = "base"
"""Where a finding is that is about the bases as a whole."""

MORE = "more"
"""Where a finding is that says how many others were left out; its number has this name too."""


@dataclass(frozen=True)
class Finding:
    """One thing that two patches have to do with each other.

    `level` is "facts", "weights" or "behaviour", `severity` "conflict", "warning" or "note".
    `where` is a tensor, the subject of a request, or what else `sentence` speaks of.
    """

    level: str
    severity: str
    patches: tuple[str, str]
    where: str
    sentence: str
    numbers: dict[str, float] = field(default_factory=dict)


def by_gravity(findings: Iterable[Finding]) -> list[Finding]:
    """Gravest first; within a severity by place, and what was left out last."""
    return sorted(
        findings,
        key=lambda one: (SEVERITIES.index(one.severity), MORE in one.numbers, one.where),
    )
