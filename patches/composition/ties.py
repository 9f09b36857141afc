"""`ties`: each delta trimmed to its largest entries, a sign elected, those of that sign averaged.

    τ̂ₜ = the top-k entries of τₜ by magnitude      γᵖ = sgn(Σₜ τ̂ₜᵖ)
    Δᵖ = λ · mean of those τ̂ₜᵖ whose sign is γᵖ

Yadav, Tam, Choshen, Raffel, Bansal 2023, "TIES-Merging: Resolving Interference When Merging
Models" (arXiv:2306.01708), algorithm 1. The trimming is done tensor by tensor here.
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
from .scratch import single
from .trimming import count_kept, trim


@dataclass(frozen=True, kw_only=True)
class TiesSettings:
    """What TIES can be told; raises RequestRefused for numbers outside their range."""

    density: float = 0.2
    """Part of the entries of each delta on each tensor that is kept: the paper's top 20%."""
    scale: float = 1.0
    """λ, by which the merged delta is multiplied."""

    def __post_init__(self) -> None:
        require(0 < self.density <= 1, "density is above 0 and at most 1")
        require(0 < self.scale <= LARGEST, f"scale is above 0 and at most {LARGEST:g}")


class Ties:
    """The merge `ties`."""

    name: ClassVar[str] = "ties"
    title: ClassVar[str] = "trim, elect a sign, average those that agree"
    weighted: ClassVar[bool] = True
    Settings: ClassVar[type[TiesSettings]] = TiesSettings

    def merge(self, work: Work, settings: TiesSettings) -> Merged:
        """Merge tensor by tensor, some rows at a time.

        A member's delta, times its weight, is rounded to float32; the sums are taken in float64 in
        the order of the members' digests, and the result is rounded to float32. Raises Unsupported
        for parts that cannot be added, NonFinite, ConflictFound.
        """
        terms = merged_by_tensor(
            work,
            "TIES elects signs of deltas that are added",
            lambda found: merged_rows(found, settings),
        )
        auxiliary, left_out = stacked(work.members, work.weights)
        return Merged(terms, auxiliary, found=left_out)


def merged_rows(found: Deltas, settings: TiesSettings) -> Iterator[NDArray[np.float32]]:
    """The merged delta of one tensor, block by block; raises NonFinite."""
    blocks = found.blocks()
    count = count_kept(found.shape, settings.density)
    trims = [trim(delta, blocks, count) for delta in found.members]
    for rows in blocks:
        above, below = _Side(rows, found.shape), _Side(rows, found.shape)
        for delta, trimming in zip(found.members, trims, strict=True):
            values = trimming.trimmed(delta.single_rows(rows))
            above.add(values, values > 0)
            below.add(values, values < 0)
        mass = above.sum + below.sum
        means = np.where(mass > 0, above.mean(), np.where(mass < 0, below.mean(), 0.0))
        yield single(settings.scale * means)


class _Side:
    """The entries above zero, or those below it: their sums in float64, and how many they are."""

    def __init__(self, rows: slice, shape: tuple[int, ...]) -> None:
        self.sum = np.zeros((rows.stop - rows.start, prod(shape[1:])))
        self.count = np.zeros(self.sum.shape, np.int64)

    def add(self, values: NDArray[np.float32], chosen: NDArray[np.bool_]) -> None:
        self.sum += np.where(chosen, values, np.float32(0))
        self.count += chosen

    def mean(self) -> NDArray[np.float64]:
        return np.asarray(self.sum / np.maximum(self.count, 1))
