"""From factors that nearly give an edit to operations that give its very bits."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..arithmetic.grid import snap
from ..arithmetic.parallel import ordered
from ..operations.base import Array, Operation
from ..operations.lowrank import LowRank
from ..stored_array import block_rows
from .plain import sparse
from .reaching import reached_by, splits

_ELEMENTS = 1 << 18


def factor_terms(a: NDArray[np.float64], b: NDArray[np.float64], *, fine: bool) -> list[LowRank]:
    """A·B on the grid; `fine` adds what snapping cut off, A'·B and A·B', terms of the same rank.

    Raises NonFinite if a factor does not fit float32.
    """
    first = LowRank.snapped(a, b)
    if not fine:
        return [first]
    rest_of_a, rest_of_b = snap(a - first.a[:], axis=1), snap(b - first.b[:], axis=0)
    return [first, LowRank(rest_of_a, first.b), LowRank(first.a, rest_of_b)]


def corrected(
    base: Array, edited: Array, dtype: str, terms: Sequence[LowRank]
) -> list[Operation] | None:
    """The terms, and sparse ones for all entries where their rounded sum is not W*.

    None if an entry cannot be reached by a sum.
    """
    wrong, delta = _mismatches(base, edited, dtype, terms)
    found: list[Operation] = list(terms)
    if not len(wrong):
        return found
    before, after = base.reshape(-1)[wrong], edited.reshape(-1)[wrong]
    parts = splits(before, after, dtype, delta)
    if parts is None:
        return None
    return found + [sparse(wrong[some], values, base.shape) for some, values in parts]


def _mismatches(
    base: Array, edited: Array, dtype: str, terms: Sequence[LowRank]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Flat indices [N] where round(W + Δ) is not W*, in order, and Δ there."""

    def find(rows: slice) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        delta = terms[0].rows(rows.start, rows.stop)
        for term in terms[1:]:
            delta += term.rows(rows.start, rows.stop)
        delta = delta.reshape(-1)
        reached = reached_by(base[rows].reshape(-1), edited[rows].reshape(-1), dtype, delta)
        places = np.flatnonzero(~reached)
        return places + rows.start * base.shape[1], delta[places]

    found = list(ordered(find, block_rows(base.shape, _ELEMENTS)))
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])
