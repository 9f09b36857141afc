"""A floating-point filter: most roundings are decided by a quick sum, the others by the exact one.

Many low-rank terms are quickest multiplied at once, but float64 then adds them in another order
than the contract says. So the error of every entry is bounded. Where rounding is the same at both
ends of the interval, it is what the exact sum rounds to, since rounding is monotone; the few
entries left are summed exactly. The idea: Shewchuk 1997, Adaptive Precision Floating-Point
Arithmetic. The bound of an inner product of length r in any order, ru / (1 - ru) times that of the
absolute values: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1. A quick
sum in float32 was tried and is slower: its bound leaves a percent of a bfloat16 tensor undecided.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dtypes

Factors = tuple[NDArray[np.float32], NDArray[np.float32]]
"""A [rows, r] and B [r, columns] on the grid."""

MAX_FACTOR_BYTES = 32 << 20
"""Size up to which the factors B of all terms are held together, as float64."""

_UNIT = 2.0**-53
_TINY = float(np.finfo(np.float64).tiny)

_MANY = 0.1
"""Share of undecided entries from which on the whole strip is summed exactly."""

_GATHERED = 1 << 18
"""Entries of factors gathered at a time."""


def pays(ranks: Sequence[int], columns: int) -> bool:
    """Whether the filter is quicker than summing terms of these ranks one after another.

    The costs are nanoseconds an entry, as benchmarks/arithmetic.py measures them.
    """
    saved, lost = 0.45 * len(ranks), 2.0 + 0.03 * sum(ranks)
    return saved > lost and 8 * sum(ranks) * columns <= MAX_FACTOR_BYTES


class FilteredSum:
    """round(W + Δ₁ + Δ₂ + …) for strips of up to `rows` rows of one block of weights.

    `terms` are the factors of Δ₁, Δ₂, … in the order of summation, each A already cut to the rows
    of the block. One thread uses it.
    """

    def __init__(self, dtype: str, terms: Sequence[Factors], rows: int) -> None:
        self._dtype = dtype
        self._terms = terms
        self._a = np.concatenate([a for a, _ in terms], axis=1, dtype=np.float64)
        self._b = np.concatenate([b for _, b in terms], axis=0, dtype=np.float64)
        self._bounds = _Bounds(self._a, self._b, len(terms))
        shape = (rows, self._b.shape[1])
        self._quick, self._error, self._end = (np.empty(shape) for _ in range(3))
        self._single = np.empty(shape, dtype=np.float32)
        self._scratch = np.empty(shape, dtype=np.uint32)
        self._high = np.empty(shape, dtype=dtypes.storage(dtype))

    def into(self, result: NDArray[Any], bits: NDArray[Any], first: int) -> None:
        """Write the rounded sum of rows `first`, … of the block into `result`; `bits` are W's.

        Raises NonFinite.
        """
        count = len(bits)
        rows = slice(first, first + count)
        quick, error, end = self._quick[:count], self._error[:count], self._end[:count]
        np.matmul(self._a[rows], self._b, out=quick)
        np.add(quick, dtypes.single(bits, self._dtype, out=self._single[:count]), out=quick)
        self._bounds.into(error, quick, rows, scratch=end)
        self._round(np.subtract(quick, error, out=end), result)
        high = self._high[:count]
        self._round(np.add(quick, error, out=end), high)
        undecided = np.flatnonzero(_raw(result) != _raw(high))
        if not dtypes.is_finite(result, self._dtype) or len(undecided) > _MANY * bits.size:
            undecided = np.arange(bits.size)
        self._decide(undecided, result, bits, first)

    def _round(self, values: NDArray[np.float64], result: NDArray[Any]) -> None:
        """Round to float32 and then to the type."""
        single = self._single[: len(values)]
        np.copyto(single, values, casting="same_kind")
        if self._dtype == "BF16":
            dtypes.round_bf16(single, result, self._scratch[: len(values)])
        else:
            np.copyto(result, single, casting="same_kind")

    def _decide(
        self, places: NDArray[np.intp], result: NDArray[Any], bits: NDArray[Any], first: int
    ) -> None:
        """Sum the entries at flat `places` exactly, some at a time."""
        step = max(1, _GATHERED // len(self._b))
        for start in range(0, len(places), step):
            row, column = np.divmod(places[start : start + step], bits.shape[1])
            delta = np.zeros(len(row))
            for a, b in self._terms:
                left, right = a[first + row].astype(np.float64), b[:, column].T.astype(np.float64)
                delta += np.einsum("nr,nr->n", left, right)
            # A zero has no sign here, as in RoundedSum.
            delta += 0.0
            delta += dtypes.widen(bits[row, column], self._dtype)
            result[row, column] = dtypes.narrow(delta, self._dtype)


class _Bounds:
    """A bound of the difference between the quick sum and the exact one, for every entry."""

    def __init__(self, a: NDArray[np.float64], b: NDArray[np.float64], terms: int) -> None:
        rank = len(b)
        # Twice what the quick sum needs, and room for the exact one, which float64 rounds once a
        # term, and for the rounding of the bounds themselves.
        gamma = 2 * (rank + terms + 4) * _UNIT
        self._rows = gamma * _norms(a, axis=1)[:, None]
        self._columns = _norms(b, axis=0)
        self._relative = 2 * (terms + 4) * _UNIT
        # What lies below the normal numbers may be lost in products and sums.
        self._absolute = 4 * (rank + 1) * _TINY

    def into(
        self,
        error: NDArray[np.float64],
        quick: NDArray[np.float64],
        rows: slice,
        *,
        scratch: NDArray[np.float64],
    ) -> None:
        """Write 2(r + n)u·‖aᵢ‖‖bⱼ‖ + 2nu·|quick| + d, by Cauchy and Schwarz, into `error`."""
        np.multiply(self._rows[rows], self._columns, out=error)
        np.abs(quick, out=scratch)
        np.multiply(scratch, self._relative, out=scratch)
        np.add(error, scratch, out=error)
        np.add(error, self._absolute, out=error)


def _norms(factor: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.sqrt(np.square(factor).sum(axis=axis))
    return norms


def _raw(bits: NDArray[Any]) -> NDArray[Any]:
    return bits.view(np.uint16 if bits.itemsize == 2 else np.uint32)
