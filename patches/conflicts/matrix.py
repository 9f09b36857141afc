"""An overview of many patches: the worst that each has to do with each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..format.patch import Patch
from .blocks import Single, blocks
from .spectrum import Matrix

WORST = {"interference": "interference", "cosine": "cosine", "overlap": "input_excess"}
"""What an overview shows, and the measure that it is."""

NOISE = 0.05
"""What is smaller than this in all measures is not worth a line."""


@dataclass(frozen=True)
class Pair:
    """Two patches by number, and their measures by name, those that there are."""

    one: int
    other: int
    numbers: dict[str, float]


def matrix(patches: Sequence[Patch]) -> dict[str, Single]:
    """The worst of each pair over all tensors: interference, cosine, and overlap of the inputs.

    Each [N, N] and symmetric, NaN where nothing is known of a pair, and on the diagonal. The cosine
    is the one of the largest size, with its sign. Only low-rank deltas are compared.
    """
    size = (len(patches), len(patches))
    worst = {name: np.full(size, np.nan, np.float32) for name in WORST}
    for tensor in common_tensors(patches):
        for block in blocks(patches, tensor):
            here = np.ix_(block.rows, block.columns)
            for name, measure in WORST.items():
                _keep_larger(worst[name], here, block.measures[measure])
    for found in worst.values():
        np.fill_diagonal(found, np.nan)
    return worst


def worst_pairs(found: dict[str, Single], most: int) -> list[Pair]:
    """The pairs of a matrix above NOISE, worst first: by interference, then by the largest other.

    At most `most` of them.
    """
    sizes = {name: np.abs(np.nan_to_num(square)) for name, square in found.items()}
    largest = np.triu(np.maximum.reduce(list(sizes.values())), 1)
    ones, others = np.nonzero(largest >= NOISE)
    order = np.lexsort((-largest[ones, others], -sizes["interference"][ones, others]))[:most]
    return [
        Pair(
            int(one),
            int(other),
            {
                name: float(square[one, other])
                for name, square in found.items()
                if not np.isnan(square[one, other])
            },
        )
        for one, other in zip(ones[order], others[order], strict=True)
    ]


def common_tensors(patches: Sequence[Patch]) -> list[str]:
    """The tensors that more than one of the patches changes, by name."""
    touched: dict[str, int] = {}
    for patch in patches:
        for tensor in patch.manifest.operations:
            touched[tensor] = touched.get(tensor, 0) + 1
    return sorted(tensor for tensor, count in touched.items() if count > 1)


def _keep_larger(worst: Single, here: tuple[NDArray[np.int64], ...], found: Matrix) -> None:
    """Put what is larger in size than what is known into its place, and into the mirrored one."""
    known = worst[here]
    larger = ~(np.abs(found) <= np.abs(known)) & ~np.isnan(found)
    merged = np.where(larger, found, known)
    worst[here] = merged
    worst[here[1].T, here[0].T] = merged.T
