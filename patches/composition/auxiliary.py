"""What members keep beside their deltas, such as keys and residuals, kept for the composition."""

from collections.abc import Sequence

import numpy as np

from ..errors import ShapeMismatch
from ..format.patch import Patch
from ..operations.base import Array

KEYS, RESIDUALS = "keys", "residuals"


def stacked(members: Sequence[Patch], weights: Sequence[float] = ()) -> dict[str, Array]:
    """Auxiliary arrays of all members, those of one name stacked [N, …] in the members' order.

    With weights, the residuals are weighted as the deltas are that write them. Raises
    ShapeMismatch.
    """
    found: dict[str, list[Array]] = {}
    for patch, weight in zip(members, weights or [1.0] * len(members), strict=True):
        for key, array in patch.auxiliary.items():
            is_moved = weight != 1 and key.endswith(f"::aux.{RESIDUALS}")
            found.setdefault(key, []).append(_times(array, weight) if is_moved else array)
    return {key: _stacked(key, arrays) for key, arrays in found.items()}


def kept(patch: Patch, tensor: str, what: str) -> Array | None:
    """One auxiliary array of a patch, None if it did not keep it."""
    return patch.auxiliary.get(f"{tensor}::aux.{what}")


def _times(array: Array, weight: float) -> Array:
    return (array.astype(np.float64) * weight).astype(array.dtype)


def _stacked(key: str, arrays: Sequence[Array]) -> Array:
    if len({(array.shape[1:], array.dtype) for array in arrays}) != 1:
        raise ShapeMismatch(f"the members keep {key} in different shapes or types")
    return np.concatenate(arrays)
