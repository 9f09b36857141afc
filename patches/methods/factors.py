"""Factors of an update, the way round that the checkpoint stores the weight."""

import numpy as np
from numpy.typing import NDArray

from ..arithmetic.grid import MAX_RANK
from ..operations.lowrank import LowRank


def stored(a: NDArray[np.floating], b: NDArray[np.floating], *, transposed: bool) -> LowRank:
    """A·B for A [out, r] and B [r, in], on the grid; raises NonFinite."""
    return LowRank.snapped(b.T, a.T) if transposed else LowRank.snapped(a, b)


def stored_sum(
    left: NDArray[np.floating], right: NDArray[np.floating], *, transposed: bool
) -> list[LowRank]:
    """Σ_t left_t right_tᵀ for left [n, out] and right [n, in], of rank MAX_RANK each at most."""
    ranks = [slice(start, start + MAX_RANK) for start in range(0, len(left), MAX_RANK)]
    return [stored(left[some].T, right[some], transposed=transposed) for some in ranks]
