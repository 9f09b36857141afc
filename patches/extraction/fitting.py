"""Factors A, B whose product lies in boxes: Newton's method for the rows of A, then those of Bᵀ.

For a fixed B the rows of A are independent. Each minimises Σⱼ φ(tⱼ), tⱼ the distance of an entry
from its box's centre in units of the box's radius, and φ(t) = |t|^p / p, continued by a parabola
beyond 1 so that it stays convex with a bounded second derivative. Errors of rounding are uniform in
the boxes, for which the spread of the minimum falls as 1/(2p - 1): p = 2 is least squares, and a
growing p pushes entry after entry into its box.
"""

import numpy as np
from numpy.typing import NDArray

from ..arithmetic.parallel import ordered
from ..operations.base import Array
from ..stored_array import block_rows
from .intervals import Boxes

_ELEMENTS = 1 << 16
_ROWS = 32  # at least, or the products of B's columns are read again too often
_SHARED = 1 << 17  # elements from which on a matrix is worth threads
_RIDGE = 1e-7
_FARTHEST = 1e9
_SHRINK = 0.35
_TRIES = 3
_SAFE = 4  # largest power at which a full step has never been seen to fail


def alternated(
    a: Array, b: Array, boxes: Boxes, power: int, softness: float
) -> tuple[Array, Array]:
    """One Newton step for all rows of A [out, r], then one for all columns of B [r, in].

    `softness` is added to every radius, so that narrow boxes do not rule before the factors are
    good enough to tell.
    """
    a, b = _with_orthonormal(a, b)
    a = _stepped(a, b, boxes, power, softness)
    bt, at = _with_orthonormal(b.T, a.T)
    bt = _stepped(bt, at, boxes.transposed, power, softness)
    return np.ascontiguousarray(at.T), np.ascontiguousarray(bt.T)


def balanced(a: Array, b: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same product U√S · √SVᵀ, from a singular value decomposition of small matrices."""
    left, r = np.linalg.qr(a.astype(np.float64))
    right, s = np.linalg.qr(b.T.astype(np.float64))
    u, values, vt = np.linalg.svd(r @ s.T)
    root = np.sqrt(values)
    return (left @ u) * root, root[:, None] * (vt @ right.T)


def _with_orthonormal(a: Array, b: Array) -> tuple[Array, Array]:
    """The same product with orthonormal rows of B, so that the rows' problems are well posed."""
    q, r = np.linalg.qr(b.T.astype(np.float64))
    return (a @ r.T).astype(a.dtype), np.ascontiguousarray(q.T).astype(b.dtype)


def _stepped(a: Array, b: Array, boxes: Boxes, power: int, softness: float) -> Array:
    step = _Step(b, power, softness)
    rows = block_rows(boxes.shape, max(_ELEMENTS, _ROWS * boxes.shape[1]))
    threads = 1 if a.shape[0] * b.shape[1] < _SHARED else None
    found = ordered(lambda some: step(a[some], *boxes.rows(some)), rows, threads=threads)
    return np.concatenate(list(found))


class _Step:
    """A Newton step for some rows of A."""

    def __init__(self, b: Array, power: int, softness: float) -> None:
        self._b, self._power, self._softness = b, power, b.dtype.type(softness)
        self._upper = np.triu_indices(len(b))
        self._products = np.ascontiguousarray((b[self._upper[0]] * b[self._upper[1]]).T)

    @np.errstate(over="ignore")
    def __call__(self, a: Array, centre: Array, radius: Array) -> Array:
        """The rows after the step, or as they were where it leads nowhere."""
        radius = radius + self._softness
        distance = (a @ self._b - centre) / radius
        size = np.abs(distance)
        inner = np.minimum(size, 1)
        outer = size - inner
        curve = _to_the(inner, self._power - 2)
        slope = np.copysign(curve * inner + (self._power - 1) * outer, distance)
        slope /= radius
        weight = (self._power - 1) * curve
        weight /= radius
        weight /= radius
        step = self._solved(weight @ self._products, slope @ self._b.T).astype(a.dtype)
        if self._power <= _SAFE:
            return a - step  # type: ignore[no-any-return]
        before = self._loss(inner, outer)
        return self._searched(a, step, before, centre, radius)

    def _solved(self, upper: Array, slope: Array) -> Array:
        """Solve the normal equations of every row."""
        rank = len(self._b)
        hessian: NDArray[np.float64] = np.empty((len(slope), rank, rank))
        hessian[:, self._upper[0], self._upper[1]] = upper
        hessian[:, self._upper[1], self._upper[0]] = upper
        mean = np.trace(hessian, axis1=1, axis2=2)[:, None] / rank
        diagonal = np.arange(rank)
        hessian[:, diagonal, diagonal] += _RIDGE * mean + np.finfo(np.float64).tiny
        with np.errstate(over="ignore", invalid="ignore"):
            solved: Array = np.linalg.solve(hessian, slope.astype(np.float64)[..., None])[..., 0]
        # A row that says nothing of its factors stays as it is.
        return np.where(np.abs(solved) < _FARTHEST, solved, 0)

    def _searched(
        self, a: Array, step: Array, before: Array, centre: Array, radius: Array
    ) -> Array:
        """Shorten the steps of rows whose loss would grow."""
        found = a - step
        worse = np.arange(len(a))
        for shorter in range(1, _TRIES + 1):
            size = np.abs((found[worse] @ self._b - centre[worse]) / radius[worse])
            inner = np.minimum(size, 1)
            worse = worse[self._loss(inner, size - inner) > before[worse]]
            if not len(worse):
                break
            factor = _SHRINK**shorter if shorter < _TRIES else 0
            found[worse] = a[worse] - a.dtype.type(factor) * step[worse]
        return found

    def _loss(self, inner: Array, outer: Array) -> Array:
        """Σ φ of each row."""
        p = self._power
        terms = _to_the(inner, p) / p + outer * (1 + (p - 1) / 2 * outer)
        total: Array = terms.sum(axis=1, dtype=np.float64)
        return total


def _to_the(values: Array, power: int) -> Array:
    """values^power by squaring."""
    result = np.ones_like(values)
    square = values
    while power:
        if power & 1:
            result = result * square
        power >>= 1
        if power:
            square = square * square
    return result
