"""One member's delta on one tensor, read some rows at a time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..draft import OWN
from ..format.patch import Patch
from ..operations.base import Addend
from ..stored_array import block_rows
from ..terms import Term, sum_of
from .base import Work, addends
from .scratch import AT_ONCE, single, smallest


@dataclass(frozen=True, eq=False)
class Delta:
    """w Δ of one member on a tensor, Δ being the sum of its terms in their order."""

    member: Patch
    weight: float
    terms: Sequence[Addend]

    def rows(self, rows: slice) -> NDArray[np.float64]:
        """Some rows of it in float64 [rows, columns], infinite where even that is too narrow."""
        total = self._sum(rows)
        with np.errstate(over="ignore"):
            return total if self.weight == 1 else total * self.weight

    def single_rows(self, rows: slice) -> NDArray[np.float32]:
        """The same rounded to float32; raises NonFinite."""
        return single(self._sum(rows), weight=self.weight)

    def _sum(self, rows: slice) -> NDArray[np.float64]:
        total = self.terms[0].rows(rows.start, rows.stop)
        for term in self.terms[1:]:
            total += term.rows(rows.start, rows.stop)
        return total


@dataclass(frozen=True, eq=False)
class Deltas:
    """The deltas of all members that change a tensor, by their digests, and its shape."""

    tensor: str
    shape: tuple[int, ...]
    members: Sequence[Delta]

    def blocks(self) -> list[slice]:
        """The rows to take at a time."""
        return block_rows(self.shape, AT_ONCE)


def deltas(work: Work, tensor: str, why: str) -> Deltas:
    """The deltas on a tensor; raises Unsupported, with `why`, for what cannot be added."""
    found = [
        Delta(patch, weight, terms)
        for patch, weight in zip(work.members, work.weights, strict=True)
        if (terms := addends(patch, tensor, why))
    ]
    return Deltas(tensor, found[0].terms[0].shape, found)


def merged_by_tensor(
    work: Work, why: str, rows: Callable[[Deltas], Iterable[NDArray[np.float32]]]
) -> dict[str, list[Term]]:
    """What `rows` makes, block by block, of the deltas on each tensor, in the fewest bytes.

    Raises as `deltas`, and ConflictFound for members that cannot be summed.
    """
    sum_of(work.members)
    terms: dict[str, list[Term]] = {}
    tensors = work.tensors()
    for number, tensor in enumerate(tensors):
        work.progress("merging", number, len(tensors))
        found = deltas(work, tensor, why)
        merged = smallest(work, number, rows(found), found.shape)
        if merged:
            terms[tensor] = [Term(OWN, 0, merged)]
    return terms
