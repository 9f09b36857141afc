"""A tensor that stays in its file and is read some rows at a time, never mapped."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SizeMismatch


@dataclass(frozen=True)
class StoredArray:
    """An array of NumPy type `dtype` whose first byte is the file's byte `start`.

    It has what readers of an array use: `shape`, `dtype`, `size`, `nbytes`, and rows by slices.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        """The number of entries."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in the file."""
        return self.size * self.dtype.itemsize

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Read rows [first, stop), or all; a new array that is the caller's own.

        Raises SizeMismatch if the file became shorter.
        """
        first, stop, _ = rows.indices(self.shape[0])
        array = np.empty((max(0, stop - first), *self.shape[1:]), dtype=self.dtype)
        row = prod(self.shape[1:]) * self.dtype.itemsize
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.start + first * row)
            view = raw_bytes(array)
            while len(view):
                count = file.readinto(view)
                if not count:
                    raise SizeMismatch(f"{self.path.name} became shorter while it was read")
                view = view[count:]
        return array


Part = NDArray[Any] | StoredArray
"""A tensor of a delta, in memory or still in its file."""


def raw_bytes(array: NDArray[Any]) -> memoryview:
    """The bytes of a contiguous array, as they are stored in a file; a view of them."""
    return array.reshape(-1).view(np.uint8).data


def blocks(part: Part, elements: int) -> Iterator[NDArray[Any]]:
    """Some rows of `part` after the other, about `elements` entries each."""
    return (part[rows] for rows in block_rows(part.shape, elements))


def block_rows(shape: tuple[int, ...], elements: int) -> list[slice]:
    """Rows of a tensor that together hold about `elements` entries, block after block."""
    step = max(1, elements // max(1, prod(shape[1:])))
    return [slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]
