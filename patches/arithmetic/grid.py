"""The grid on which factors lie, so that their product is exact in any order of summation.

Each row of A [out, r] and each column of B [r, in] is a vector of integers below 2^22 in magnitude
times a power of two of its own. A product of two entries is then an integer below 2^44 times a
power of two common to its place, and up to 512 of them sum below 2^53, the reach of float64:
whatever the blocking, threads or BLAS, the bits are the same.
"""

import numpy as np
from numpy.typing import NDArray

from ..errors import NonFinite, OffGrid

BITS = 22
MAX_RANK = 512
_SMALLEST = -149  # exponent of float32's smallest positive number


def snap(factor: NDArray[np.floating], *, axis: int) -> NDArray[np.float32]:
    """Round each vector along `axis` to its grid, by at most 2^-22 of its largest entry as rounded.

    (Entries so small that float32 itself is coarser are rounded as float32 rounds them.)
    `axis` is the rank axis: 1 for A [out, r], 0 for B [r, in]. Raises NonFinite.
    """
    values = np.asarray(factor, dtype=np.float64)
    if not np.isfinite(values).all():
        raise NonFinite("a factor holds NaN or infinity")
    step = _step(values, axis)
    # Rounding the largest entry up to 2^22 steps needs the next coarser grid.
    over = np.abs(np.rint(np.ldexp(values, -step))).max(axis=axis, keepdims=True, initial=0)
    step = step + (over >= 2**BITS)
    with np.errstate(over="ignore"):
        snapped: NDArray[np.float32] = np.ldexp(np.rint(np.ldexp(values, -step)), step).astype(
            np.float32
        )
    if not np.isfinite(snapped).all():
        raise NonFinite("a factor does not fit float32")
    return snapped


def require_on_grid(factor: NDArray[np.float32], *, axis: int, what: str) -> None:
    """Raise NonFinite or OffGrid unless every vector of `factor` along `axis` lies on its grid."""
    values = factor.astype(np.float64)
    if not np.isfinite(values).all():
        raise NonFinite(f"{what} holds NaN or infinity")
    scaled = np.ldexp(values, -_step(values, axis))
    if not np.array_equal(scaled, np.rint(scaled)):
        raise OffGrid(
            f"{what} is not on the 22-bit grid",
            why="its products would depend on the order of summation, so no digest could hold",
            hint="make the patch again with weightpatch, which snaps factors before it scores them",
        )


def _step(values: NDArray[np.float64], axis: int) -> NDArray[np.int64]:
    """Exponent of the finest grid on which the vectors' largest entries are below 2^22 steps."""
    largest = np.abs(values).max(axis=axis, keepdims=True, initial=0)
    exponent: NDArray[np.int64] = np.frexp(largest)[1].astype(np.int64)
    return np.maximum(exponent - BITS, np.int64(_SMALLEST))
