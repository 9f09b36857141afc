"""The interval of deltas that round to a stored element."""

import numpy as np
from numpy.typing import NDArray

from ..arithmetic import dtypes
from ..arithmetic.parallel import ordered
from ..operations.base import Array
from ..stored_array import block_rows

_ELEMENTS = 1 << 16
_WIDEST = 2.0**20
_PRECISION = {"F32": 24, "F16": 11, "BF16": 8}
_SMALLEST = {"F32": 2.0**-149, "F16": 2.0**-24, "BF16": 2.0**-133}


def rounding_interval(bits: Array, dtype: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The midpoints below and above each finite element, float64 in the shape of `bits`.

    What lies strictly between them rounds to the element, but for the 2⁻¹⁶ of the interval or less
    at its ends that rounding to float32 first may carry across. Both zeros have one interval.
    """
    value = dtypes.widen(bits, dtype)
    size = np.abs(value)
    # Elements of one binade lie as far apart as their last bits say, 2^(exponent - precision).
    fraction, exponent = np.frexp(size)
    outward = np.maximum(np.ldexp(1.0, exponent - _PRECISION[dtype]), _SMALLEST[dtype])
    inward = np.where(fraction == 0.5, np.maximum(outward / 2, _SMALLEST[dtype]), outward)
    inward[size == 0] = outward[size == 0] = _SMALLEST[dtype]
    below = np.where(value > 0, inward, outward)
    above = np.where(value < 0, inward, outward)
    return value - below / 2, value + above / 2


class Boxes:
    """For each entry of a matrix the deltas that turn W into W*: |Δ - centre| < radius.

    Both are [out, in], float32 for 16-bit types and float64 for F32, in units of `scale`, which
    brings the largest centre to about 1.
    """

    def __init__(self, centre: Array, radius: Array, scale: float = 1.0) -> None:
        self.centre = centre
        self.radius = radius
        self.scale = scale

    @classmethod
    def between(cls, base: Array, edited: Array, dtype: str) -> "Boxes":
        """The boxes of two matrices of finite bits."""
        kind = np.float64 if dtype == "F32" else np.float32
        rows = block_rows(base.shape, _ELEMENTS)
        scale = max(ordered(lambda some: _largest_change(base[some], edited[some], dtype), rows))
        boxes = cls(np.empty(base.shape, kind), np.empty(base.shape, kind), scale)
        # Below the least the product of factors is not computed well enough to tell.
        least, most = 8 * float(np.finfo(kind).eps), _WIDEST

        def fill(some: slice) -> None:
            weights = dtypes.widen(base[some], dtype)
            low, high = rounding_interval(edited[some], dtype)
            boxes.centre[some] = ((low + high) / 2 - weights) / scale
            boxes.radius[some] = np.clip((high - low) / (2 * scale), least, most)

        for _ in ordered(fill, rows):
            pass
        return boxes

    def loosened(self, dtype: str) -> "Boxes":
        """The boxes of deltas that were rounded to the type before they were added."""
        rounding = self.centre.dtype.type(2.0 ** -_PRECISION[dtype])
        radius = self.radius + rounding * np.abs(self.centre)
        return Boxes(self.centre, radius, self.scale)

    @property
    def shape(self) -> tuple[int, int]:
        """[out, in]."""
        return self.centre.shape[0], self.centre.shape[1]

    @property
    def transposed(self) -> "Boxes":
        """The boxes of the transposed matrix, a view."""
        return Boxes(self.centre.T, self.radius.T, self.scale)

    def rows(self, some: slice) -> tuple[Array, Array]:
        """Centres and radii of some rows, contiguous."""
        return np.ascontiguousarray(self.centre[some]), np.ascontiguousarray(self.radius[some])


def _largest_change(base: Array, edited: Array, dtype: str) -> float:
    """A power of two about as large as the largest change, and no subnormal number."""
    change = np.abs(dtypes.widen(edited, dtype) - dtypes.widen(base, dtype)).max(initial=0)
    return max(float(np.ldexp(1.0, np.frexp(change)[1])), 2.0**-200)
