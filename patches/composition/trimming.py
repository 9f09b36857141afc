"""The k entries of a delta that are largest in magnitude, found without holding the delta.

The magnitude of a float32 number, read as an integer, sorts as the number does: a histogram of its
upper bits, and one of the lower bits where the upper are those sought, give the threshold exactly.
Of entries at the threshold those come first that stand first in the tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from .deltas import Delta

_LOW_BITS = 16
_LOW = np.uint32((1 << _LOW_BITS) - 1)
_SIGNLESS = np.uint32(0x7FFF_FFFF)


@dataclass
class Trim:
    """Keeps the entries above `threshold`, and the first `ties` of those at it; rows in order."""

    threshold: int
    ties: int

    def trimmed(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next rows of the delta, zero where they are not kept."""
        sizes = _magnitudes(values)
        at = np.flatnonzero(sizes == self.threshold)
        kept = sizes > self.threshold
        kept[at[: self.ties]] = True
        self.ties -= min(self.ties, len(at))
        return np.where(kept.reshape(values.shape), values, np.float32(0))


def count_kept(shape: Sequence[int], density: float) -> int:
    """How many entries of a tensor are kept: `density` of them, to the nearest, one at least."""
    return max(1, int(density * prod(shape) + 0.5))


def trim(delta: Delta, blocks: Sequence[slice], count: int) -> Trim:
    """What keeps the `count` largest entries of a delta, read twice; raises NonFinite."""
    uppers, lowers = np.zeros(1 << 15, np.int64), np.zeros(1 << _LOW_BITS, np.int64)
    for rows in blocks:
        sizes = _magnitudes(delta.single_rows(rows))
        uppers += np.bincount(sizes >> _LOW_BITS, minlength=len(uppers))
    upper, left = _bin_of(uppers, count)
    for rows in blocks:
        sizes = _magnitudes(delta.single_rows(rows))
        near = sizes[sizes >> _LOW_BITS == upper]
        lowers += np.bincount(near & _LOW, minlength=len(lowers))
    lower, left = _bin_of(lowers, left)
    return Trim((upper << _LOW_BITS) | lower, left)


def _bin_of(counts: NDArray[np.int64], wanted: int) -> tuple[int, int]:
    """The bin in which the `wanted`-th largest lies, and how many of that bin are wanted."""
    from_top = np.cumsum(counts[::-1])
    place = int(np.searchsorted(from_top, wanted))
    above = int(from_top[place - 1]) if place else 0
    return len(counts) - 1 - place, wanted - above


def _magnitudes(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint32) & _SIGNLESS
