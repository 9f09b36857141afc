"""The best approximation of a matrix by one of low rank.

Eckart and Young 1936: it is UᵣUᵣᵀΔ, with Uᵣ the leading left singular vectors, and what is left has
the squared norm σ²ᵣ₊₁ + σ²ᵣ₊₂ + …
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_NONE = 1e-14
"""Of the largest, a share of squared singular values that rounding alone gives."""


class Factors(NamedTuple):
    """A [out, r] and B [r, in] float64, and the relative Frobenius error of A·B."""

    a: NDArray[np.float64]
    b: NDArray[np.float64]
    error: float


def truncated(delta: NDArray[np.floating], rank: int) -> Factors:
    """The best approximation of Δ [out, in] of rank `rank`, or of Δ's own rank if that is lower.

    From the eigenvectors of ΔΔᵀ, which are a fraction of the work of Δ's singular vectors as the
    output of an MLP is narrower than its inner layer. The factors of nothing are of rank 1, zero.
    """
    wide = delta.astype(np.float64)
    squares, vectors = np.linalg.eigh(wide @ wide.T)
    kept = max(1, min(rank, int(np.count_nonzero(squares > _NONE * max(squares[-1], 0.0)))))
    a = np.ascontiguousarray(vectors[:, ::-1][:, :kept])
    b = a.T @ wide
    whole, left = float(np.sum(wide * wide)), float(np.sum((wide - a @ b) ** 2))
    return Factors(a, b, float(np.sqrt(left / whole)) if whole else 0.0)
