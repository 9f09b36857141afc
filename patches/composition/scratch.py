"""Results too large for memory: written block by block, then stored in the smaller of two forms."""

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NonFinite
from ..operations.base import Addend
from ..operations.dense import Dense
from ..operations.entries import Entries
from ..operations.sparse import Sparse
from ..stored_array import StoredArray, blocks, raw_bytes
from .base import Work

AT_ONCE = 1 << 18
"""Entries read at a time."""

SINGLE = np.dtype("<f4")


def single(
    values: NDArray[np.float64], what: str = "a merged delta", weight: float = 1.0
) -> NDArray[np.float32]:
    """Values times a weight, rounded to float32, to nearest even; raises NonFinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = (values if weight == 1 else values * weight).astype(SINGLE)
    if not np.isfinite(rounded).all():
        raise NonFinite(
            f"{what} does not fit float32",
            why="its numbers are too large, or become so by a weight or a scale",
            hint="use smaller weights or a smaller scale, or leave a member out that is so large",
        )
    return rounded


def write_array(
    path: Path,
    found: Iterable[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any] = SINGLE,
) -> StoredArray:
    """Write blocks one behind the other; gives the array that they make."""
    with path.open("wb") as file:
        for block in found:
            file.write(raw_bytes(np.ascontiguousarray(block, dtype)))
    return StoredArray(path, dtype, shape, 0)


def smallest(
    work: Work, number: int, found: Iterable[NDArray[np.float32]], shape: tuple[int, ...]
) -> Addend | None:
    """A delta given by blocks as `dense`, or `sparse` if that takes fewer bytes; None for zero.

    One tensor at a time lies in the scratch folder as a whole.
    """
    count = 0

    def counted() -> Iterable[NDArray[np.float32]]:
        nonlocal count
        for block in found:
            count += int(np.count_nonzero(block))
            yield block

    whole = write_array(work.file(number, "dense"), counted(), shape)
    if not count:
        whole.path.unlink()
        return None
    kind = np.dtype("<i4") if prod(shape) <= np.iinfo("<i4").max else np.dtype("<i8")
    if count * (kind.itemsize + SINGLE.itemsize) >= whole.nbytes:
        return Dense(whole)
    flat = StoredArray(whole.path, SINGLE, (prod(shape),), 0)
    indices = write_array(work.file(number, "indices"), _places(flat), (count,), kind)
    values = (block[block != 0] for block in blocks(flat, AT_ONCE))
    entries = Entries(indices, write_array(work.file(number, "values"), values, (count,)))
    whole.path.unlink()
    return Sparse(entries, shape)


def _places(flat: StoredArray) -> Iterable[NDArray[np.int64]]:
    for number, block in enumerate(blocks(flat, AT_ONCE)):
        yield np.flatnonzero(block) + number * AT_ONCE
