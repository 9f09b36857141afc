"""What members keep beside their deltas, such as keys and residuals, kept for the composition."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..conflicts.orientation import RESIDUALS
from ..format.names import split_key
from ..format.patch import Patch
from ..operations.base import Array
from .scratch import single

LEFT_OUT = "auxiliary_left_out"
"""Under which a manifest names arrays of the members that do not fit together."""


def stacked(
    members: Sequence[Patch],
    weights: Sequence[float] = (),
    instead: Mapping[str, Array] = MappingProxyType({}),
) -> tuple[dict[str, Array], dict[str, list[str]]]:
    """Auxiliary arrays of all members, those of one name stacked [N, …] in the members' order.

    With weights, the residuals are weighted as the deltas are that write them. Arrays given
    `instead` are taken for those of their names. Where members keep arrays of other shapes or
    types, nothing of that tensor is kept, since a row of one array goes with a row of another; what
    was left out is given second, to be recorded. Raises NonFinite.
    """
    found: dict[str, list[Array]] = {}
    for patch, weight in zip(members, weights or [1.0] * len(members), strict=True):
        for key, array in patch.auxiliary.items():
            if key not in instead:
                is_moved = weight != 1 and key.endswith(f"::aux.{RESIDUALS}")
                moved = single(array.astype(np.float64), key, weight) if is_moved else array
                found.setdefault(key, []).append(moved)
    unlike = {split_key(key)[0] for key, arrays in found.items() if not _are_alike(arrays)}
    left_out = sorted(key for key in found if split_key(key)[0] in unlike)
    kept = {key: np.concatenate(arrays) for key, arrays in found.items() if key not in left_out}
    return {**kept, **instead}, {LEFT_OUT: left_out} if left_out else {}


def _are_alike(arrays: Sequence[Array]) -> bool:
    return len({(array.shape[1:], array.dtype) for array in arrays}) == 1
