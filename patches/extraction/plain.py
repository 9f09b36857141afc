"""Edits of one tensor as they come, entry by entry: `replace`, `sparse` and `dense`."""

from collections.abc import Sequence
from math import prod

import numpy as np

from ..operations.base import Array, Operation
from ..operations.dense import Dense
from ..operations.entries import Entries
from ..operations.replace import Replace
from ..operations.sparse import Sparse
from .reaching import addends, narrowest, raw

OVERHEAD = 128
"""Bytes that an array takes in the header of a delta file, about."""

_MAX_I32 = 2**31
_ENTRY_BYTES = 6
"""Of a listed entry, its index and its value, at least."""


def stored_bytes(operations: Sequence[Operation]) -> int:
    """Bytes that operations take in a delta file, with about what its header takes."""
    parts = [part for operation in operations for part in operation.parts.values()]
    return sum(part.nbytes + OVERHEAD for part in parts)


def best_plain(base: Array, edited: Array, dtype: str) -> Operation:
    """The operation of fewest bytes that lists entries or gives all of them.

    `base` and `edited` are bits of `dtype` in one shape, and differ. Of two that take the same
    bytes, a sum comes before new values, since other sums can be added to it.
    """
    differs = raw(base).reshape(-1) != raw(edited).reshape(-1)
    if _ENTRY_BYTES * np.count_nonzero(differs) > edited.nbytes:
        return _whole(base, edited, dtype)
    listed = _listed(base, edited, dtype, np.flatnonzero(differs))
    if stored_bytes([listed]) <= 2 * base.size:
        return listed
    whole = _whole(base, edited, dtype)
    return min(listed, whole, key=lambda operation: stored_bytes([operation]))


def sparse(places: Array, values: Array, shape: tuple[int, ...]) -> Sparse:
    """`values` [N] added at the flat indices `places` [N] of a tensor."""
    return Sparse(Entries(_indices(places, shape), values), shape)


def _listed(base: Array, edited: Array, dtype: str, changed: Array) -> Operation:
    before, after = base.reshape(-1)[changed], edited.reshape(-1)[changed]
    new = narrowest(after, dtype)
    added = addends(before, after, dtype)
    if added is not None and added.nbytes <= new.nbytes:
        return sparse(changed, added, base.shape)
    return Replace(new, _indices(changed, base.shape), base.shape)


def _whole(base: Array, edited: Array, dtype: str) -> Operation:
    new = narrowest(edited, dtype)
    added = addends(base.reshape(-1), edited.reshape(-1), dtype)
    if added is not None and added.nbytes <= new.nbytes:
        return Dense(added.reshape(base.shape))
    return Replace(new, None, base.shape)


def _indices(places: Array, shape: tuple[int, ...]) -> Array:
    """Flat indices, int32 if all of the tensor's fit."""
    return places.astype("<i4" if prod(shape) <= _MAX_I32 else "<i8")
