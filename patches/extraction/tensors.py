"""Tensors of PyTorch and NumPy as stored bits, rounded from the type that a model was loaded in."""

from typing import Any

import numpy as np

from ..arithmetic import dtypes
from ..errors import NonFinite, Unsupported
from ..operations.base import Array
from ..stored_array import block_rows
from .reaching import raw

HOLDS = {
    "F64": {"F64", "F32", "F16", "BF16"},
    "F32": {"F32", "F16", "BF16"},
    "F16": {"F16"},
    "BF16": {"BF16"},
}
"""The types all of whose values a type has."""

_TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
_BLOCK_ELEMENTS = 1 << 20


def require_plain(value: Any, name: str) -> None:  # noqa: ANN401 - any library's tensor
    """Raise Unsupported unless it is a tensor in memory, of numbers that weights can be."""
    if not isinstance(value, np.ndarray):
        import torch

        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_meta:
            raise Unsupported(
                f"{name} is no plain tensor in memory but {type(value).__qualname__}",
                hint="give tensors of PyTorch or NumPy, not quantised, sharded or offloaded",
            )
    if _kind(value) not in _TYPES:
        raise Unsupported(
            f"{name} is {_kind(value)} and cannot be compared with a checkpoint's weights",
            why="quantised and integer weights have no exact sum with a delta",
            hint="edit the unquantised model",
        )


def plain(value: Any) -> tuple[Array, str]:  # noqa: ANN401 - any library's tensor
    """The values as a NumPy array, bfloat16 as its bits, and the type that they have."""
    kind = _kind(value)
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        return array.view(np.uint16) if kind == "bfloat16" else array, _TYPES[kind]
    import torch

    tensor = value.detach().cpu().contiguous()
    array = (tensor.view(torch.uint16) if kind == "bfloat16" else tensor).numpy()
    return array, _TYPES[kind]


def _kind(value: Any) -> str:  # noqa: ANN401 - any library's tensor
    """The name of a tensor's type, which PyTorch and NumPy have in common."""
    return str(value.dtype).removeprefix("torch.")


def rounded(values: Array, own: str, dtype: str, name: str) -> Array:
    """Values of one type rounded to another: to float32, then to the type, to nearest even.

    Raises NonFinite, which calls the tensor `name`.
    """
    if own == dtype:
        return values
    result = np.empty(values.shape, dtypes.storage(dtype))
    for rows in block_rows(values.shape, _BLOCK_ELEMENTS):
        block = values[rows] if own == "F64" else dtypes.widen(values[rows], own)
        try:
            result[rows] = dtypes.narrow(block, dtype)
        except NonFinite:
            raise NonFinite(
                f"{name} holds NaN, infinity, or a number that does not fit {dtype}",
                why="an edit went wrong there",
                hint="edit the model again, with smaller steps",
            ) from None
    return result


def same_values(one: Any, other: Any) -> bool:  # noqa: ANN401 - any library's tensor
    """Whether two tensors have one type and the same bits."""
    if one is other:
        return True
    (first, kind), (second, like) = plain(one), plain(other)
    return kind == like and np.array_equal(raw(first), raw(second))
