"""Values as deltas store them, float32, float16 or bfloat16: checked, measured and converted."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arithmetic import dtypes
from ..errors import FormatError, NonFinite, ShapeMismatch
from ..stored_array import Part, blocks
from .base import Array

BLOCK_ELEMENTS = 1 << 18


def require_parts(kind: str, parts: object, *expected: set[str]) -> None:
    """Raise FormatError unless the names of `parts` are one of the sets expected."""
    found = set(parts)  # type: ignore[call-overload]
    if found not in expected:
        needed = " or ".join(" and ".join(sorted(names)) for names in expected)
        raise FormatError(
            f"a {kind} operation needs {needed}, found {', '.join(sorted(found)) or 'nothing'}"
        )


def require_values(part: Part, shape: tuple[int, ...], *, what: str) -> None:
    """Raise FormatError or ShapeMismatch unless `part` holds numbers in this shape."""
    if part.dtype not in dtypes.NAMES:
        raise FormatError(f"{what} must be {', '.join(sorted(dtypes.STORAGE))}, not {part.dtype}")
    if part.shape != shape:
        raise ShapeMismatch(f"{what} {list(part.shape)} do not fit {list(shape)}")


def finite_norm(part: Part, *, what: str) -> float:
    """Frobenius norm, summed in float64 some rows at a time; raises NonFinite."""
    # Squares of values of these types do not overflow float64: an infinite sum had infinite terms.
    total = sum(_square(wide(block)) for block in blocks(part, BLOCK_ELEMENTS))
    if not math.isfinite(total):
        raise NonFinite(f"{what} hold NaN or infinity")
    return math.sqrt(total)


def wide(values: Array) -> NDArray[np.float64]:
    """Stored values as float64, exactly."""
    return dtypes.widen(values, dtypes.NAMES[values.dtype])


def rounded(values: Array, dtype: str) -> NDArray[Any]:
    """Stored values as bits of `dtype`, unchanged if they are of that type; raises NonFinite."""
    if dtypes.NAMES[values.dtype] == dtype:
        return values
    return dtypes.narrow(wide(values), dtype)


def _square(values: NDArray[np.float64]) -> float:
    flat = values.reshape(-1)
    return float(flat @ flat)
