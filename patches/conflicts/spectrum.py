"""The thin SVD of a sum of low-rank terms, from its factors: what it reads, writes, and how much.

Δ = AB = Σ AₖBₖ. With A = Q₁R₁ and Bᵀ = Q₂R₂ (thin QR), the SVD of the small R₁R₂ᵀ = XSYᵀ gives
Δ = (Q₁X)·S·(Q₂Y)ᵀ. The dense matrix is never formed: O((out + in)·r²) for the sum of ranks r.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..operations.base import Operation
from ..operations.lowrank import LowRank
from ..operations.sparse import Sparse

Matrix = NDArray[np.float64]

TOLERANCE = 2.0**-20
"""Singular values this small beside the largest are rounding of the grid (2^-22), not a rank."""

CORRECTION = 0.01
"""Entries whose norm is at most this part of the low-rank terms' are a correction of them, as
`extract` adds one so that the rounded weights are the very ones it was given."""


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


def lowrank_terms(operations: Sequence[Operation]) -> list[LowRank] | None:
    """The low-rank terms, if their factors say what there is to say of the sum of all operations.

    That is if all others are `sparse` and no more than a CORRECTION. Else None.
    """
    terms = [each for each in operations if isinstance(each, LowRank)]
    rest = [each for each in operations if not isinstance(each, LowRank)]
    if not terms or not all(isinstance(each, Sparse) for each in rest):
        return None
    if rest and sum(each.norm() for each in rest) > CORRECTION * _norm(terms):
        return None
    return terms


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


def _norm(terms: Sequence[LowRank]) -> float:
    """Frobenius norm of the sum."""
    if len(terms) == 1:
        return terms[0].norm()
    a = np.concatenate([each.a[:] for each in terms], axis=1)
    b = np.concatenate([each.b[:] for each in terms], axis=0)
    return LowRank(a, b).norm()


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
