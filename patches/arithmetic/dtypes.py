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

_BF16_SHIFT = np.uint32(16)
_BF16_OVERFLOW = np.uint32(0x7F7F_8000)  # bits of the first float32 that rounds to infinity


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
        if dtype == "BF16":
            shifted = bits.astype(np.uint32) << _BF16_SHIFT
            return shifted.view(np.float32).astype(np.float64)
        return bits.astype(np.float64)


def narrow(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Round float64 to float32, then to `dtype`, each to nearest even (design: exactness contract).

    Raises NonFinite if a result overflows the type or was not finite before.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype(np.float32)
        bits = _round_bf16(single) if dtype == "BF16" else single.astype(storage(dtype), copy=False)
    # Rounding to bfloat16 by integers can carry a NaN into a number, so look before it.
    finite = _fits_bf16(single) if dtype == "BF16" else np.isfinite(bits).all()
    if not finite:
        raise NonFinite(
            f"a patched weight does not fit {dtype}",
            why="the sum of base and delta is infinite or not a number",
            hint="the patch, or the combination of patches, must not be used on this base",
        )
    return bits


def _round_bf16(single: NDArray[np.float32]) -> NDArray[np.uint16]:
    bits = single.view(np.uint32)
    to_even = ((bits >> _BF16_SHIFT) & np.uint32(1)) + np.uint32(0x7FFF)
    return ((bits + to_even) >> _BF16_SHIFT).astype(np.uint16)


def _fits_bf16(single: NDArray[np.float32]) -> bool:
    magnitude = single.view(np.uint32) & np.uint32(0x7FFF_FFFF)
    return bool((magnitude < _BF16_OVERFLOW).all())
