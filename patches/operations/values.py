"""Values as deltas store them, float32, float16 or bfloat16: checked, measured and converted."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arithmetic import dtypes
from ..arithmetic.parallel import ordered
from ..errors import FormatError, NonFinite, ShapeMismatch
from ..stored_array import Part, block_rows
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
    dtype = dtypes.NAMES[part.dtype]
    rows = block_rows(part.shape, BLOCK_ELEMENTS)
    total = sum(ordered(lambda one: dtypes.square(part[one], dtype), rows))
    if not math.isfinite(total):
        raise NonFinite(f"{what} hold NaN or infinity")
    return math.sqrt(total)


def single_values(values: Array) -> NDArray[np.float32]:
    """Stored values as float32, exactly."""
    return dtypes.single(values, dtypes.NAMES[values.dtype])


def wide(values: Array) -> NDArray[np.float64]:
    """Stored values as float64, exactly."""
    return dtypes.widen(values, dtypes.NAMES[values.dtype])


def rounded(values: Array, dtype: str) -> NDArray[Any]:
    """Stored values as bits of `dtype`, unchanged if they are of that type; raises NonFinite."""
    if dtypes.NAMES[values.dtype] == dtype:
        return values
    return dtypes.narrow(wide(values), dtype)
