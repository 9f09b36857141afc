"""Listed entries of a tensor: sorted flat indices and a value for each, read in chunks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, ShapeMismatch
from ..stored_array import Part, blocks
from .base import Array
from .values import finite_norm, require_values

CHUNK = 1 << 14
"""Entries read at a time."""


@dataclass(frozen=True, eq=False)
class Entries:
    """Flat indices into a tensor, strictly increasing, int32 or int64 [N]; and values [N]."""

    indices: Part
    values: Part

    def check(self, size: int) -> None:
        """Raise FormatError, ShapeMismatch or NonFinite unless they fit a tensor of `size`."""
        if self.indices.dtype not in (np.int32, np.int64):
            raise FormatError(f"indices must be I32 or I64, not {self.indices.dtype}")
        if len(self.indices.shape) != 1:
            raise ShapeMismatch(f"indices must be one list, not {list(self.indices.shape)}")
        require_values(self.values, self.indices.shape, what="values of listed entries")
        last = -1
        for chunk in blocks(self.indices, CHUNK):
            if int(chunk[0]) <= last or (chunk[1:] <= chunk[:-1]).any():
                raise FormatError(
                    "indices must increase",
                    why="one stands twice, is negative, or comes after a larger one",
                )
            last = int(chunk[-1])
        if last >= size:
            raise ShapeMismatch(f"index {last} is outside a tensor of {size} entries")
        self.norm()

    def norm(self) -> float:
        """Frobenius norm of the values; raises NonFinite."""
        return self._norm

    def between(self, first: int, stop: int) -> tuple[NDArray[np.int64], Array]:
        """Indices i with first ≤ i < stop, counted from `first`, and their values."""
        start = max(0, int(np.searchsorted(self._heads, first, side="right")) - 1) * CHUNK
        end = int(np.searchsorted(self._heads, stop)) * CHUNK
        indices = self.indices[start:end]
        low, high = np.searchsorted(indices, (first, stop))
        found = indices[low:high].astype(np.int64) - first
        return found, self.values[start + low : start + high]

    def meets(self, other: "Entries") -> bool:
        """Whether an entry stands in both lists."""
        return any(
            np.isin(chunk - first, other.between(first, int(chunk[-1]) + 1)[0]).any()
            for chunk in blocks(self.indices, CHUNK)
            if (first := int(chunk[0])) >= 0
        )

    @cached_property
    def _norm(self) -> float:
        return finite_norm(self.values, what="values of listed entries")

    @cached_property
    def _heads(self) -> NDArray[np.int64]:
        """The first index of each chunk."""
        chunks = range(0, self.indices.shape[0], CHUNK)
        return np.array([self.indices[start : start + 1][0] for start in chunks], dtype=np.int64)
