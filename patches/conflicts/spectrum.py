"""The thin SVD of a sum of low-rank terms, from its factors: what it reads, writes, and how much.

Δ = AB = Σ AₖBₖ. With A = Q₁R₁ and Bᵀ = Q₂R₂ (thin QR), the SVD of the small R₁R₂ᵀ = XSYᵀ gives
Δ = (Q₁X)·S·(Q₂Y)ᵀ. The dense matrix is never formed: O((out + in)·r²) for the sum of ranks r.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from ..operations.base import Operation
from ..operations.lowrank import LowRank

Matrix = NDArray[np.float64]

TOLERANCE = 2.0**-20
"""Singular values this small beside the largest are rounding of the grid (2^-22), not a rank."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Δ = U·diag(S)·Vᵀ with U [out, r], S [r] decreasing, V [in, r]; r is Δ's numerical rank.

    U spans the output (column) space, V the input (row) space, both orthonormal.
    """

    u: Matrix
    s: Matrix
    v: Matrix

    @property
    def rank(self) -> int:
        """The numerical rank, 0 for a delta that cancels itself."""
        return len(self.s)

    @property
    def norm(self) -> float:
        """Frobenius norm of Δ."""
        return float(np.linalg.norm(self.s))


def is_lowrank(operations: Sequence[Operation]) -> TypeGuard[Sequence[LowRank]]:
    """Whether all operations are low-rank terms, so that factors say everything of their sum."""
    return all(isinstance(operation, LowRank) for operation in operations)


def spectrum(operations: Sequence[LowRank]) -> Spectrum:
    """The thin SVD of the sum of these terms.

    Singular values below TOLERANCE beside the largest are left out, and so are those that rounding
    leaves where terms cancel each other.
    """
    a = np.concatenate([each.a[:] for each in operations], axis=1).astype(np.float64)
    b = np.concatenate([each.b[:] for each in operations], axis=0).astype(np.float64)
    if a.shape[1] == 1:
        return _of_one(a, b)
    q_a, r_a = np.linalg.qr(a)
    q_b, r_b = np.linalg.qr(b.T)
    x, s, yt = np.linalg.svd(r_a @ r_b.T, full_matrices=False)
    # What terms of this size leave when they cancel is no direction of its own.
    largest = max(float(s[0]), float(np.max(np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=1))))
    kept = int(np.sum(s > TOLERANCE * largest))
    return Spectrum(q_a @ x[:, :kept], s[:kept], q_b @ yt[:kept].T)


def _of_one(a: Matrix, b: Matrix) -> Spectrum:
    """A single outer product: its factors, normed."""
    sizes = np.linalg.norm(a), np.linalg.norm(b)
    kept = int(sizes[0] > 0 and sizes[1] > 0)
    scale = [size or 1.0 for size in sizes]
    return Spectrum(
        (a / scale[0])[:, :kept],
        np.array([sizes[0] * sizes[1]])[:kept],
        (b.T / scale[1])[:, :kept],
    )
