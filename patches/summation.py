"""W' = round(W + Δ): the one sum, in float64, of all operations on a tensor.

The terms are added one after another in the order of the digests of the delta files that they were
first published in, then to the weight, then rounded once. So neither the order in which patches are
named nor how they were composed can change a bit.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeGuard

import numpy as np

from .arithmetic import dtypes
from .arithmetic.filtering import FilteredSum, pays
from .arithmetic.parallel import ordered
from .arithmetic.rounding import RoundedSum
from .checkpoints.checkpoint import Checkpoint
from .digests import sha256
from .errors import ShapeMismatch
from .operations.base import Addend, Array, Operation, Replacement, Widening
from .operations.lowrank import LowRank
from .operations.values import wide
from .stored_array import Part, block_rows, raw_bytes

BLOCK_ELEMENTS = 1 << 20
"""Elements that a thread takes at a time: enough that what it prepares for them is forgotten."""

SHARED_ELEMENTS = 1 << 22
"""Elements from which on a tensor by itself is worth starting threads for."""

STRIP_ELEMENTS = 1 << 16
"""Elements summed at a time: half a MiB of float64, so that they stay in a core's cache."""


@dataclass(frozen=True, eq=False)
class PatchedTensor:
    """A tensor W' that is computed some rows at a time.

    `part` is W as stored bits of `dtype`. W' is widened by its own operations and padded with zeros
    to `shape`.
    """

    part: Part
    dtype: str
    operations: Sequence[Operation]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes when stored."""
        return prod(self.shape) * self.part.dtype.itemsize

    def starts(self) -> list[int]:
        """The first row of each block."""
        rows = list(range(0, self.part.shape[0], self._step))
        return [*rows, self.part.shape[0]] if self.shape[0] > self.part.shape[0] else rows

    def block(self, start: int) -> Array:
        """The block that begins with row `start`: bits [rows, columns]; raises NonFinite."""
        if start == self.part.shape[0]:
            return self._below()
        bits = self.part[start : start + self._step]
        flat = bits.reshape(len(bits), -1)
        rows = patched_rows(flat, self.dtype, self.operations, start)
        if self.shape[1:] == self.part.shape[1:]:
            return rows
        beside = None if self._beside is None else self._beside[start : start + self._step]
        return _extended(rows, beside, self.shape[1], axis=1)

    @cached_property
    def _step(self) -> int:
        return max(1, BLOCK_ELEMENTS // max(1, prod(self.part.shape[1:])))

    @cached_property
    def _beside(self) -> Array | None:
        return _appended(self.dtype, self.operations, axis=1)

    def _below(self) -> Array:
        """The rows that follow those of W."""
        below = _appended(self.dtype, self.operations, axis=0)
        none = np.empty((0, *self.shape[1:]), dtype=dtypes.storage(self.dtype))
        count = self.shape[0] - self.part.shape[0]
        return _extended(none, below, count, axis=0).reshape(count, -1)


def patched_tensor(part: Part, dtype: str, operations: Sequence[Operation]) -> PatchedTensor:
    """W' in the shape that its own operations give it; raises ShapeMismatch."""
    return PatchedTensor(part, dtype, operations, widened_shape(part.shape, operations))


def stream(tensor: PatchedTensor) -> Iterator[Array]:
    """The blocks of a patched tensor, in order, computed by several threads unless it is small.

    Raises NonFinite.
    """
    threads = 1 if prod(tensor.shape) < SHARED_ELEMENTS else None
    return ordered(tensor.block, tensor.starts(), threads=threads)


def result_digests(tensors: Mapping[str, PatchedTensor]) -> dict[str, str]:
    """sha256 of each patched tensor as it would be stored; raises NonFinite."""
    work = [(name, start) for name, tensor in tensors.items() for start in tensor.starts()]
    digests = {name: hashlib.sha256() for name in tensors}
    found = ordered(lambda item: tensors[item[0]].block(item[1]), work)
    for (name, _), block in zip(work, found, strict=True):
        digests[name].update(raw_bytes(block))
    return {name: digest.hexdigest() for name, digest in digests.items()}


def patched(bits: Array, dtype: str, operations: Sequence[Operation]) -> Array:
    """The whole patched tensor, in its widened shape; raises NonFinite, ShapeMismatch."""
    tensor = patched_tensor(bits, dtype, operations)
    result = np.empty(tensor.shape, dtype=bits.dtype)
    rows = result.reshape(len(result), -1)
    done = 0
    for block in stream(tensor):
        rows[done : done + len(block)] = block
        done += len(block)
    return result


def patched_rows(bits: Array, dtype: str, operations: Sequence[Operation], start: int) -> Array:
    """Rows of the patched tensor from row `start` on, as wide as the base's.

    `bits` [rows, columns] are the base's.
    """
    addends = [operation for operation in operations if isinstance(operation, Addend)]
    result = _sum(bits, dtype, addends, start) if addends else bits.copy()
    for operation in operations:
        if isinstance(operation, Replacement):
            operation.overwrite(result, dtype, start)
    return result


def widened_shape(shape: tuple[int, ...], operations: Sequence[Operation]) -> tuple[int, ...]:
    """The shape of a tensor after its `widen` operations; raises ShapeMismatch if they disagree."""
    widenings = [operation for operation in operations if isinstance(operation, Widening)]
    if len({operation.axis for operation in widenings}) > 1:
        raise ShapeMismatch("a tensor cannot be widened along two axes")
    lengths = list(shape)
    for operation in widenings:
        lengths[operation.axis] += operation.size
    return tuple(lengths)


def norms(checkpoint: Checkpoint, names: Iterable[str]) -> dict[str, float]:
    """Frobenius norms of stored tensors."""
    wanted = list(names)
    work = [
        (name, checkpoint.array(name), checkpoint.tensors[name].dtype, rows)
        for name in wanted
        for rows in block_rows(checkpoint.tensors[name].shape, BLOCK_ELEMENTS)
    ]
    squares = dict.fromkeys(wanted, 0.0)
    found = ordered(lambda item: dtypes.square(item[1][item[3]], item[2]), work)
    for (name, *_), square in zip(work, found, strict=True):
        squares[name] += square
    return {name: math.sqrt(square) for name, square in squares.items()}


def norm(checkpoint: Checkpoint, name: str) -> float:
    """Frobenius norm of one stored tensor."""
    return norms(checkpoint, [name])[name]


def bits_norm(bits: Part, dtype: str) -> float:
    """Frobenius norm of a tensor given as its stored bits."""
    rows = block_rows(bits.shape, BLOCK_ELEMENTS)
    return math.sqrt(sum(ordered(lambda one: dtypes.square(bits[one], dtype), rows)))


def bits_digest(bits: Array) -> str:
    """sha256 of the bits as they are stored in a file."""
    return sha256(raw_bytes(np.ascontiguousarray(bits)))


def _appended(dtype: str, operations: Sequence[Operation], *, axis: int) -> Array | None:
    """All that `widen` operations append along one axis, side by side."""
    slices = [
        operation.slices(dtype)
        for operation in operations
        if isinstance(operation, Widening) and operation.axis == axis
    ]
    return np.concatenate(slices, axis=axis) if slices else None


def _extended(bits: Array, more: Array | None, length: int, *, axis: int) -> Array:
    """`bits` and `more` along `axis`, then zeros up to `length`."""
    shape = list(bits.shape)
    shape[axis] = length - bits.shape[axis] - (0 if more is None else more.shape[axis])
    zeros = np.zeros(shape, dtype=bits.dtype)
    return np.concatenate([bits, *([] if more is None else [more]), zeros], axis=axis)


def _sum(bits: Array, dtype: str, addends: Sequence[Addend], start: int) -> Array:
    if all(operation.entries is not None for operation in addends):
        return _listed_sum(bits, dtype, addends, start)
    dtypes.require_finite(bits, dtype)
    result = np.empty_like(bits)
    step = min(len(bits), max(1, STRIP_ELEMENTS // max(1, bits.shape[1])))
    with np.errstate(over="ignore", invalid="ignore"):
        if _is_filtered(addends):
            _filtered_sum(result, bits, dtype, addends, start, step)
        else:
            _chained_sum(result, bits, dtype, addends, start, step)
    dtypes.require_finite(result, dtype)
    return result


def _is_filtered(addends: Sequence[Addend]) -> TypeGuard[Sequence[LowRank]]:
    low = [operation.size for operation in addends if isinstance(operation, LowRank)]
    return len(low) == len(addends) and pays(low, addends[0].shape[1])


def _filtered_sum(
    result: Array, bits: Array, dtype: str, addends: Sequence[LowRank], start: int, step: int
) -> None:
    """Low-rank terms at once; the exact sum only where that leaves a rounding undecided."""
    stop = start + len(bits)
    terms = [(operation.a[start:stop], operation.b[:]) for operation in addends]
    quick = FilteredSum(dtype, terms, step)
    for first in range(0, len(bits), step):
        quick.into(result[first : first + step], bits[first : first + step], first)


def _chained_sum(
    result: Array, bits: Array, dtype: str, addends: Sequence[Addend], start: int, step: int
) -> None:
    """One term after another, in float64."""
    fills = [operation.block(start, start + len(bits)) for operation in addends]
    single = len(addends) == 1 and addends[0].is_single
    rounding = RoundedSum(dtype, (step, bits.shape[1]), single=single)
    for first in range(0, len(bits), step):
        strip = bits[first : first + step]
        delta, more = rounding.delta[: len(strip)], rounding.more[: len(strip)]
        fills[0](delta, first)
        for fill in fills[1:]:
            fill(more, first)
            delta += more
        rounding.into(result[first : first + step], strip, delta)


def _listed_sum(bits: Array, dtype: str, addends: Sequence[Addend], start: int) -> Array:
    """The sum at the entries that are listed; all others keep their bits, negative zeros too."""
    columns = bits.shape[1]
    first, stop = start * columns, (start + len(bits)) * columns
    entries = [operation.entries for operation in addends if operation.entries is not None]
    listed = [each.between(first, stop) for each in entries]
    places = np.unique(np.concatenate([found for found, _ in listed]))
    result = bits.copy()
    if len(places):
        delta = np.zeros(len(places))
        for found, values in listed:
            delta[np.searchsorted(places, found)] += wide(values)
        delta += 0.0
        delta += dtypes.widen(bits.reshape(-1)[places], dtype)
        result.reshape(-1)[places] = dtypes.narrow(delta, dtype)
    return result
