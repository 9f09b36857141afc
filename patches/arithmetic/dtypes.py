"""Storage types of checkpoints: bytes to float64 and back, rounded as the contract says."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NonFinite, Unsupported

STORAGE: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
"""Types that can be patched, and the NumPy type that holds their bits."""

NAMES = {kind: name for name, kind in STORAGE.items()}
"""The other way round: the type that such bits stand for."""

WIDTH = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2,
    "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "C64": 8,
}  # fmt: skip
"""Bytes an element, for every type whose elements are whole bytes."""

_STRIP = 1 << 16  # elements widened at a time, so that they stay in a core's cache
_SHIFT = np.uint32(16)
_HALF_LESS_ONE = np.uint32(0x7FFF)
_ONE = np.uint32(1)
_POSITIVE_INFINITY = {"BF16": 0x7F80, "F16": 0x7C00}
_SIGN = 0x8000


def storage(dtype: str) -> np.dtype[Any]:
    """NumPy type holding the bits of `dtype`; raises Unsupported for one that cannot be patched."""
    try:
        return STORAGE[dtype]
    except KeyError:
        raise Unsupported(
            f"tensors of type {dtype} cannot be patched",
            why=f"deltas are added to {', '.join(sorted(STORAGE))} weights; "
            "quantised and integer weights have no exact sum",
            hint="apply the patch to the unquantised checkpoint and quantise the result",
        ) from None


def widen(bits: NDArray[np.generic], dtype: str) -> NDArray[np.float64]:
    """Convert stored elements to float64, exactly."""
    # A signalling NaN is no reason for a warning: narrow refuses it after the sum.
    with np.errstate(invalid="ignore"):
        return single(bits, dtype).astype(np.float64)


def single(
    bits: NDArray[np.generic], dtype: str, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Convert stored elements to float32, exactly; a view of them if that is what they are."""
    if dtype == "BF16":
        raw = None if out is None else out.view(np.uint32)
        shifted: NDArray[np.uint32] = np.left_shift(
            bits, 16, out=raw, dtype=np.uint32, casting="unsafe"
        )
        return shifted.view(np.float32)
    if out is None or dtype == "F32":
        return bits.astype(np.float32, copy=False)
    np.copyto(out, bits)
    return out


def square(bits: NDArray[np.generic], dtype: str) -> float:
    """Sum of the squares of stored elements, in float64: finite if and only if they all are."""
    flat = bits.reshape(-1)
    total = 0.0
    for start in range(0, flat.size, _STRIP):
        wide = widen(flat[start : start + _STRIP], dtype)
        total += float(wide @ wide)
    return total


def narrow(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Round float64 to float32, then to `dtype`, each to nearest even (design: exactness contract).

    Raises NonFinite if a result overflows the type or was not finite before.
    """
    bits = np.empty(values.shape, dtype=storage(dtype))
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = values.astype(np.float32)
        # Rounding to bfloat16 by integers can carry a NaN into a number, so look before it.
        finite = not np.isnan(rounded).any()
        if dtype == "BF16":
            round_bf16(rounded, bits, np.empty(values.shape, dtype=np.uint32))
        else:
            np.copyto(bits, rounded, casting="same_kind")
    if not finite:
        raise too_large(dtype)
    require_finite(bits, dtype)
    return bits


def require_finite(bits: NDArray[Any], dtype: str) -> None:
    """Raise NonFinite if a stored element is infinite or not a number."""
    if not is_finite(bits, dtype):
        raise too_large(dtype)


def too_large(dtype: str) -> NonFinite:
    """The error for a sum that its type cannot hold."""
    return NonFinite(
        f"a patched weight does not fit {dtype}",
        why="the sum of base and delta is infinite or not a number",
        hint="the patch, or the combination of patches, must not be used on this base",
    )


def is_finite(bits: NDArray[Any], dtype: str) -> bool:
    """Whether no stored element is infinite or not a number."""
    if dtype == "F32":
        return bool(np.isfinite(bits).all())
    raw, infinity = bits.view(np.uint16), _POSITIVE_INFINITY[dtype]
    # As signed numbers the positive ones come last, as unsigned ones the negative ones.
    largest = raw.view(np.int16).max(initial=0)
    return bool(largest < infinity and raw.max(initial=0) < infinity + _SIGN)


def round_bf16(
    values: NDArray[np.float32], result: NDArray[np.uint16], scratch: NDArray[np.uint32]
) -> None:
    """Round to bfloat16, to nearest even, by integer arithmetic on the bits of numbers."""
    bits = values.view(np.uint32)
    np.right_shift(bits, _SHIFT, out=scratch)
    np.bitwise_and(scratch, _ONE, out=scratch)
    np.add(scratch, _HALF_LESS_ONE, out=scratch)
    np.add(scratch, bits, out=scratch)
    np.right_shift(scratch, _SHIFT, out=result, dtype=np.uint32, casting="unsafe")
