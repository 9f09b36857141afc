"""`sum`: all terms side by side, exactly; with weights, each member's delta times its weight.

    Δ = w₁ Δ₁ + w₂ Δ₂ + …

Ilharco et al. 2023, "Editing Models with Task Arithmetic" (arXiv:2212.04089): a delta is a task
vector, which is added, scaled, or with a negative weight taken away.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..draft import OWN
from ..errors import Unsupported
from ..operations.base import Operation
from ..operations.dense import Dense
from ..operations.entries import Entries
from ..operations.lowrank import LowRank
from ..operations.sparse import Sparse
from ..operations.values import wide
from ..stored_array import Part, StoredArray, blocks
from ..terms import Term, sum_of
from .auxiliary import stacked
from .base import Merged, Work
from .scratch import AT_ONCE, single, write_array


@dataclass(frozen=True)
class NoSettings:
    """The plain sum is told nothing but weights."""


class Sum:
    """The merge `sum`."""

    name: ClassVar[str] = "sum"
    title: ClassVar[str] = "the exact sum; with weights, task arithmetic"
    weighted: ClassVar[bool] = True
    Settings: ClassVar[type[NoSettings]] = NoSettings

    def merge(self, work: Work, settings: NoSettings) -> Merged:  # noqa: ARG002 - none to read
        """The terms as they are on each tensor on which all weights are 1, else times the weights.

        The factor A of a low-rank part takes the weight, in float64, and is snapped again; entries
        of other parts are rounded to float32. Raises Unsupported for what cannot be weighted,
        NonFinite.
        """
        terms = sum_of(work.members)
        weights = dict(zip((patch.digest for patch in work.members), work.weights, strict=True))
        number = 0
        for done, tensor in enumerate(list(terms)):
            work.progress("weighting", done, len(terms))
            members = [patch for patch in work.members if tensor in patch.operations]
            if all(weights[patch.digest] == 1 for patch in members):
                continue
            found: list[Operation] = []
            for patch in members:
                weight = weights[patch.digest]
                for operation in patch.operations[tensor]:
                    found.append(
                        weighted(operation, weight, work, number, f"{patch.label} on {tensor}")
                    )
                    number += 1
            terms[tensor] = [Term(OWN, index, each) for index, each in enumerate(found)]
        auxiliary, left_out = stacked(work.members, work.weights)
        return Merged(terms, auxiliary, found=left_out)


def weighted(operation: Operation, weight: float, work: Work, number: int, what: str) -> Operation:
    """w Δ; `number` is that of its files in the scratch folder, `what` names it in errors.

    Raises Unsupported, NonFinite.
    """
    if weight == 1:
        return operation
    if isinstance(operation, LowRank):
        with np.errstate(over="ignore"):
            moved = operation.a[:].astype(np.float64) * weight
        return LowRank.snapped(moved, operation.b[:])
    if isinstance(operation, Dense):
        return Dense(_times(operation.delta, weight, work, number))
    if isinstance(operation, Sparse):
        values = _times(operation.listed.values, weight, work, number)
        return Sparse(Entries(operation.listed.indices, values), operation.shape)
    raise Unsupported(
        f"{what} is a {operation.kind}, which takes no weight but 1",
        why="it puts new values in the place of old ones, and is no sum",
        hint="give that member the weight 1",
    )


def _times(values: Part, weight: float, work: Work, number: int) -> StoredArray:
    found = (single(wide(block), weight=weight) for block in blocks(values, AT_ONCE))
    return write_array(work.file(number, "values"), found, values.shape)
