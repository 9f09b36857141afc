"""Numbers to add to stored weights so that the rounded sums are given bits, in the fewest bytes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arithmetic import dtypes
from ..arithmetic.parallel import ordered
from ..arithmetic.rounding import RoundedSum
from ..operations.base import Array
from ..operations.values import wide
from ..stored_array import block_rows

_TYPES = ("BF16", "F16", "F32")
_TERMS = 3  # as many float32 numbers as float64 has bits for
_ELEMENTS = 1 << 17  # taken by a thread at a time


def addends(base: Array, edited: Array, dtype: str) -> Array | None:
    """Values S with round(W + S) = W*, bit for bit, or None if no such numbers are found.

    `base` and `edited` [N] are bits of `dtype`, those of W and W*. The values [N] are of the first
    of bfloat16, float16 and float32 in which all are found.
    """
    for stored in _TYPES:
        values = np.empty(base.shape, dtype=dtypes.storage(stored))

        def fill(block: slice, out: Array = values) -> bool:
            delta = np.zeros(block.stop - block.start)
            out[block], reached = _sought(base[block], edited[block], dtype, delta, out.dtype)
            return bool(reached.all())

        if all(ordered(fill, block_rows(base.shape, _ELEMENTS))):
            return values
    return None


def splits(
    base: Array, edited: Array, dtype: str, delta: NDArray[np.float64]
) -> list[tuple[NDArray[np.intp], Array]] | None:
    """Values S with round(W + (Δ + S₁ + S₂ …)) = W*, bit for bit, or None if none are found.

    `base`, `edited` and `delta` are [N]. Each pair holds places among the N and values for them:
    bfloat16 where that reaches, else float32, and more than one where W + Δ must cancel.
    """
    left, delta = np.arange(len(base)), delta.copy()
    found = []
    for stored in ("BF16", *["F32"] * _TERMS):
        kind = dtypes.storage(stored)
        values, reached = _sought(base[left], edited[left], dtype, delta[left], kind)
        added = np.isfinite(wide(values)) if stored == "F32" else reached
        if added.any():
            found.append((left[added], values[added]))
            delta[left[added]] += wide(values[added])
        left = left[~reached]
        if not len(left):
            return found
    return None


def reached_by(
    base: Array, edited: Array, dtype: str, delta: NDArray[np.float64]
) -> NDArray[np.bool]:
    """Where round(W + Δ) is W*, bit for bit; all [N]."""
    rounding = RoundedSum(dtype, (1, len(base)))
    result = np.empty((1, len(base)), dtype=base.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        rounding.into(result, base[None], delta[None].copy())
    reached: NDArray[np.bool] = raw(result[0]) == raw(edited)
    return reached


def raw(bits: Array) -> Array:
    """The bits as unsigned integers, so that NaN and both zeros compare."""
    return bits.view(f"<u{bits.dtype.itemsize}")


def narrowest(bits: Array, dtype: str) -> Array:
    """The same values, in the first of bfloat16, float16 and their own type that holds them all."""
    if dtype != "F32":
        return bits
    raw = bits.view(np.uint32)
    if not (raw & 0xFFFF).any():
        return (raw >> 16).astype(np.uint16)
    with np.errstate(over="ignore"):
        half = bits.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32).view(np.uint32), raw) else bits


def _sought(
    base: Array, edited: Array, dtype: str, delta: NDArray[np.float64], kind: np.dtype[Any]
) -> tuple[Array, NDArray[np.bool]]:
    """The value of a type nearest to what is missing, or one beside it; and where it reaches."""
    stored = dtypes.NAMES[kind]
    missing = dtypes.widen(edited, dtype) - dtypes.widen(base, dtype) - delta
    values = _nearest(missing, stored)
    reached = _reaches(base, edited, dtype, delta, values)
    for direction in (-np.inf, np.inf):
        wrong = np.flatnonzero(~reached)
        if len(wrong):
            moved = _neighbour(values[wrong], stored, direction)
            right = _reaches(base[wrong], edited[wrong], dtype, delta[wrong], moved)
            values[wrong[right]] = moved[right]
            reached[wrong[right]] = True
    return values, reached


def _reaches(
    base: Array, edited: Array, dtype: str, delta: NDArray[np.float64], values: Array
) -> NDArray[np.bool]:
    with np.errstate(invalid="ignore"):
        added = wide(values)
        return reached_by(base, edited, dtype, delta + added) & np.isfinite(added)


def _nearest(values: NDArray[np.float64], dtype: str) -> Array:
    """Values rounded to a type; too large ones become infinite."""
    rounding = RoundedSum(dtype, (1, values.size))
    zeros = np.zeros((1, values.size), dtype=dtypes.storage(dtype))
    result = np.empty_like(zeros)
    with np.errstate(over="ignore", invalid="ignore"):
        rounding.into(result, zeros, values.reshape(1, -1).copy())
    return result.reshape(values.shape)


def _neighbour(values: Array, dtype: str, direction: float) -> Array:
    """The next value of the type towards minus or plus infinity."""
    if dtype != "BF16":
        with np.errstate(over="ignore"):
            moved: Array = np.nextafter(values, values.dtype.type(direction))
        return moved
    raw = values.view(np.int16).astype(np.int32)
    place = np.where(raw < 0, -(raw & 0x7FFF), raw) + (1 if direction > 0 else -1)
    return np.where(place < 0, 0x8000 - place, place).astype(np.uint16)
