"""`dare`: entries of each delta dropped at random, the rest scaled up, then summed.

    Δ = λ Σₜ (1 - mₜ) ⊙ δₜ / (1 - p)        mₜ ~ Bernoulli(p)

Yu, Yu, Yu, Huang, Li 2024, "Language Models are Super Mario: Absorbing Abilities from Homologous
Models as a Free Lunch" (arXiv:2311.03099), eq. 2, with task arithmetic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..methods.checks import LARGEST, require
from .auxiliary import stacked
from .base import Merged, Work
from .deltas import Deltas, merged_by_tensor
from .drawing import is_dropped, key_of
from .scratch import single

_MAX_SEED = 2**53 - 1


@dataclass(frozen=True, kw_only=True)
class DareSettings:
    """What DARE can be told; raises RequestRefused for numbers outside their range."""

    drop: float = 0.9
    """p, the chance of each entry to be dropped."""
    scale: float = 1.0
    """λ, by which the sum is multiplied."""
    seed: int = 0
    """Of the draw."""

    def __post_init__(self) -> None:
        require(0 <= self.drop < 1, "drop is 0 or more, and below 1")
        require(0 < self.scale <= LARGEST, f"scale is above 0 and at most {LARGEST:g}")
        require(0 <= self.seed <= _MAX_SEED, "seed is 0 to 2^53 - 1")


class Dare:
    """The merge `dare`."""

    name: ClassVar[str] = "dare"
    title: ClassVar[str] = "drop entries at random, scale the rest up, sum"
    weighted: ClassVar[bool] = True
    Settings: ClassVar[type[DareSettings]] = DareSettings

    def merge(self, work: Work, settings: DareSettings) -> Merged:
        """Merge tensor by tensor, some rows at a time.

        The sums are taken in float64 in the order of the members' digests, then multiplied by
        λ / (1 - p) and rounded to float32. Raises Unsupported for parts that cannot be added,
        NonFinite, ConflictFound.
        """
        terms = merged_by_tensor(
            work,
            "DARE drops entries of deltas that are added",
            lambda found: merged_rows(found, settings),
        )
        auxiliary, left_out = stacked(work.members, work.weights)
        return Merged(terms, auxiliary, settings.seed, left_out)


def merged_rows(found: Deltas, settings: DareSettings) -> Iterator[NDArray[np.float32]]:
    """The merged delta of one tensor, block by block; raises NonFinite."""
    keys = [key_of(settings.seed, delta.member.digest, found.tensor) for delta in found.members]
    columns = prod(found.shape[1:])
    factor = settings.scale / (1 - settings.drop)
    for rows in found.blocks():
        total = np.zeros((rows.stop - rows.start, columns))
        for key, delta in zip(keys, found.members, strict=True):
            dropped = is_dropped(key, rows.start * columns, total.size, settings.drop)
            kept = np.where(dropped.reshape(total.shape), 0.0, delta.rows(rows))
            with np.errstate(over="ignore", invalid="ignore"):
                total += kept
        yield single(total, weight=factor)
