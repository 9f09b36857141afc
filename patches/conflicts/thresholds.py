"""From where on a measure of the weights is a warning, and from where on a conflict."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf, isnan

import numpy as np
from numpy.typing import NDArray

from ..errors import RequestRefused
from .findings import NOTE, SEVERITIES


@dataclass(frozen=True)
class Thresholds:
    """What a pair's measures must reach. The defaults come from benchmarks/interference.py.

    `interference`, the size of `cosine`, and `overlap` (of the inputs, above chance) make a
    warning; `…_conflict` a conflict, by default never: a number of the weights tells what to
    expect, and only facts, entries and behaviour prove a clash. `worse` is for behaviour: a share
    of prompts, or a probability, that is lower by more than this together than alone is a warning.
    """

    interference: float = 0.4
    interference_conflict: float = inf
    cosine: float = 0.1
    cosine_conflict: float = inf
    overlap: float = 0.3
    overlap_conflict: float = inf
    worse: float = 0.1

    def changed(self, settings: Mapping[str, float]) -> "Thresholds":
        """These thresholds with others in their place; raises RequestRefused.

        A name may be written with hyphens.
        """
        named = {name.replace("-", "_"): value for name, value in settings.items()}
        known = {each.name for each in fields(self)}
        for name, value in named.items():
            if name not in known:
                raise RequestRefused(
                    f"there is no threshold {name!r}", hint=f"known: {', '.join(sorted(known))}"
                )
            if isnan(value) or value < 0:
                raise RequestRefused(
                    f"the threshold {name} is a number from 0 on, or inf for never, not {value}"
                )
        return replace(self, **named)

    @property
    def may_refuse(self) -> bool:
        """Whether a measure of the weights can be a conflict at all."""
        return any(getattr(self, f"{name}_conflict") < inf for name in MEASURED)

    def to_json(self) -> dict[str, float | None]:
        """The thresholds as plain JSON values, null for never."""
        return {name: None if value == inf else value for name, value in vars(self).items()}

    def severity(self, numbers: Mapping[str, float]) -> str:
        """How grave the measures of a pair are, those that there are, by name."""
        level = self.levels({name: np.array(value) for name, value in numbers.items()})
        return SEVERITIES[int(level)]

    def levels(self, measures: Mapping[str, NDArray[np.float64]]) -> NDArray[np.int64]:
        """The same for many pairs, as places in SEVERITIES, in the shape of the measures.

        NaN is no measure.
        """
        found = np.asarray(SEVERITIES.index(NOTE))
        for threshold, measure in MEASURED.items():
            if measure in measures:
                size = np.abs(np.nan_to_num(measures[measure], posinf=inf))
                grave = size >= getattr(self, f"{threshold}_conflict")
                warned = size >= getattr(self, threshold)
                found = np.minimum(found, np.where(grave, 0, np.where(warned, 1, 2)))
        return found


MEASURED = {"interference": "interference", "cosine": "cosine", "overlap": "input_excess"}
"""The measure that each threshold is about."""

DEFAULTS = Thresholds()
