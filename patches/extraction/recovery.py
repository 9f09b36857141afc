"""Low-rank factors of an edit whose result was rounded: A·B inside the boxes of rounding.

Components are taken from the residual as long as they stand out from its noise, fitted by least
squares weighted by the widths of the boxes; then a norm of growing power drives the entries that
are still outside into their boxes. The noise is that of rounding alone, so an edit that has no low
rank shows itself early.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arithmetic.parallel import ordered
from ..operations.base import Array
from ..stored_array import block_rows
from .fitting import alternated, balanced
from .intervals import Boxes
from .ranks import standing_out

Factors = tuple[NDArray[np.float64], NDArray[np.float64]]
"""A [out, r] and B [r, in]."""

_SEED = 0
_AT_ONCE = 32
_ELEMENTS = 1 << 17
_SAMPLE = 7
_POOR = 0.5
"""Share of the changed entries that the best rough fit leaves outside if there is no low rank."""

_FITS = 5

_ENTRY_BYTES = 6
_ENOUGH = 0.001
"""Share of all entries from which on those outside are not worth more work."""

_FIRST = ((2, 1.0), (2, 0.1), (2, 0.03), (4, 1e-2), (8, 1e-2))
_STAGES = (
    (8, 1e-2), (16, 1e-3), (16, 1e-3), (16, 1e-4), (16, 1e-4), (32, 1e-4), (32, 1e-4), (32, 1e-4),
    (32, 0), (32, 0), (64, 1e-4), (64, 1e-4), (64, 0), (64, 0),
)  # fmt: skip
"""Powers, and softness in medians of the residual; one alternation each."""


def recovered(boxes: Boxes, limit: int) -> Factors | None:
    """Factors whose product lies in most boxes, or None if no rank up to `limit` does that.

    The same on one machine whenever it is asked; another BLAS may find other last bits.
    """
    # Threads are our own here; those of the BLAS would fight with them.
    (found,) = ordered(lambda one: _recovered(one, limit), [boxes])
    return found


def _recovered(boxes: Boxes, limit: int) -> Factors | None:
    best = _detected(boxes, limit)
    if best is None:
        return None
    a, b = best.a, best.b
    for power, softness in _STAGES:
        if best.outside <= _ENOUGH * boxes.centre.size:
            break
        a, b = alternated(a, b, boxes, power, softness * _median(a, b, boxes))
        best = min(best, _Fit(a, b, outside(a, b, boxes)), key=lambda fit: fit.outside)
    return balanced(best.a * np.float64(boxes.scale), best.b)


@dataclass(frozen=True, eq=False)
class _Fit:
    """Factors and the number of entries outside their boxes."""

    a: Array
    b: Array
    outside: int

    @property
    def cost(self) -> int:
        """Bytes, corrections included."""
        return 4 * (self.a.size + self.b.size) + _ENTRY_BYTES * self.outside


def outside(a: Array, b: Array, boxes: Boxes) -> int:
    """The number of entries of A·B that lie outside their boxes."""

    def count(some: slice) -> int:
        distance = np.abs(a[some] @ b - boxes.centre[some])
        return int(np.count_nonzero(distance > boxes.radius[some]))

    return sum(ordered(count, block_rows(boxes.shape, _ELEMENTS)))


def _detected(boxes: Boxes, limit: int) -> _Fit | None:
    """Factors of the rank that stands out from the noise, roughly fitted; None if there is none.

    Each fit brings down the noise, and so finds the rank again.
    """
    random = np.random.default_rng(_SEED)
    kind = boxes.centre.dtype
    a, b = np.zeros((boxes.shape[0], 0), kind), np.zeros((0, boxes.shape[1]), kind)
    best = nothing = _Fit(a, b, outside(a, b, boxes))
    tried: set[int] = set()
    for _ in range(_FITS):
        before = best
        completed = _completed(best.a, best.b, boxes, random)
        (u, values, vt), ranks = standing_out(*completed, limit, random)
        for rank in ranks:
            if rank not in tried:
                tried.add(rank)
                start = (u[:, :rank] * values[:rank]).astype(kind), vt[:rank].astype(kind)
                best = min(best, _fit(*start, boxes), key=lambda fit: fit.cost)
        if best is before or _ENTRY_BYTES * best.outside < 4 * sum(boxes.shape):
            break
    return best if best.outside < _POOR * nothing.outside else None


def _fit(a: Array, b: Array, boxes: Boxes) -> _Fit:
    for power, softness in _FIRST:
        a, b = alternated(a, b, boxes, power, softness * _median(a, b, boxes))
    return _Fit(a, b, outside(a, b, boxes))


def _completed(
    a: Array, b: Array, boxes: Boxes, random: np.random.Generator
) -> tuple[Array, Array]:
    """A·B and the residual, each entry of it weighted by how narrow its box is; and such noise."""
    typical = _median(a, b, boxes)
    completed = np.empty_like(boxes.centre)
    noise = random.random(boxes.shape, dtype=np.float32)

    @np.errstate(over="ignore")  # a box so wide takes no part, as a weight of zero says
    def fill(some: slice) -> None:
        product, radius = a[some] @ b, boxes.radius[some]
        weight = 1 / (np.square(radius / typical) + 1)
        completed[some] = product + (boxes.centre[some] - product) * weight
        # An unchanged entry hides what is too small to show, which is no noise of its radius.
        weight[np.abs(boxes.centre[some]) < radius / 2] = 0
        noise[some] = (2 * noise[some] - 1) * (radius * weight)

    for _ in ordered(fill, block_rows(boxes.shape, _ELEMENTS)):
        pass
    return completed, noise


def _median(a: Array, b: Array, boxes: Boxes) -> float:
    """Median size of the residual in some rows, or their mean radius if it is smaller."""
    a, centre, radius = a[::_SAMPLE], boxes.centre[::_SAMPLE], boxes.radius[::_SAMPLE]
    return max(float(np.median(np.abs(a @ b - centre))), float(np.median(radius)) / 8)
