"""The suite `efficiency`: what making an edit took, told by whoever has a clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..requests import EditRequest
from .base import Evaluation, Score, suite_digest
from .definitions import EFFICIENCY

_CASE = "edit"


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock and of all cores, in all and of what is done once for a base.

    `peak_memory` is in bytes, None where it cannot be told.
    """

    seconds: float
    cpu_seconds: float
    once_seconds: float = 0.0
    once_cpu_seconds: float = 0.0
    peak_memory: int | None = None


def efficiency(
    cost: Cost, requests: Sequence[EditRequest], environment: Mapping[str, str]
) -> Evaluation:
    """What one edit took, as an evaluation with nothing to compare with.

    Time is divided by the number of requests, what is done once for a base and memory are not.
    """
    count = len(requests)
    values = {
        "efficiency.seconds": max(0.0, cost.seconds - cost.once_seconds) / count,
        "efficiency.cpu-seconds": max(0.0, cost.cpu_seconds - cost.once_cpu_seconds) / count,
        "efficiency.once.seconds": cost.once_seconds,
        "efficiency.once.cpu-seconds": cost.once_cpu_seconds,
    }
    if cost.peak_memory is not None:
        values["efficiency.peak-memory"] = float(cost.peak_memory)
    ordered = sorted(requests, key=lambda each: each.id)
    return Evaluation(
        suite="efficiency",
        suite_digest=suite_digest([request.to_json() for request in ordered]),
        definitions={name: EFFICIENCY[name].definition for name in values},
        scores=tuple(Score(_CASE, name, None, value, count) for name, value in values.items()),
        environment=environment,
    )
