"""⟨Δ₁, Δ₂⟩ and the cosine of two deltas, without unfolding what is small on disk."""

import math
from collections.abc import Sequence

import numpy as np

from .operations.base import Addend, Operation
from .operations.entries import CHUNK, Entries
from .operations.lowrank import LowRank
from .operations.values import wide
from .stored_array import block_rows
from .summation import BLOCK_ELEMENTS

_COLUMNS = 1024
"""Rank taken at a time."""

_NOTHING = 2.0**-20
"""A sum this small beside its terms is their rounding."""


def cosine(first: Sequence[Operation], second: Sequence[Operation]) -> float | None:
    """Cosine of the angle between two deltas, each a sum of terms.

    0 if one of them is zero, or what rounding leaves of terms that cancel each other. None if one
    of them is no sum alone: what `replace` and `widen` change depends on the base.
    """
    ones, others = _addends(first), _addends(second)
    if ones is None or others is None:
        return None
    squares = _inner(ones, ones), _inner(others, others)
    if any(map(_vanishes, squares, (first, second))):
        return 0.0
    return _inner(ones, others) / math.sqrt(squares[0] * squares[1])


def _vanishes(square: float, operations: Sequence[Operation]) -> bool:
    """Whether a sum is nothing beside its terms, by its square norm."""
    return square <= (_NOTHING * sum(each.norm() for each in operations)) ** 2


def _addends(operations: Sequence[Operation]) -> list[Addend] | None:
    """The same sum with all low-rank terms as one, [A₁ A₂ …]·[B₁; B₂; …]; None if it is no sum."""
    addends = [operation for operation in operations if isinstance(operation, Addend)]
    if len(addends) < len(operations):
        return None
    low = [operation for operation in addends if isinstance(operation, LowRank)]
    if not low:
        return addends
    a = np.concatenate([operation.a[:] for operation in low], axis=1)
    b = np.concatenate([operation.b[:] for operation in low], axis=0)
    return [LowRank(a, b), *(each for each in addends if not isinstance(each, LowRank))]


def _inner(first: Sequence[Addend], second: Sequence[Addend]) -> float:
    return sum(_of_two(one, other) for one in first for other in second)


def _of_two(one: Addend, other: Addend) -> float:
    if isinstance(one, LowRank) and isinstance(other, LowRank):
        return _of_lowrank(one, other)
    if one.entries is not None and isinstance(other, LowRank):
        return _of_listed_and_lowrank(one.entries, other)
    if other.entries is not None and isinstance(one, LowRank):
        return _of_listed_and_lowrank(other.entries, one)
    if one.entries is not None and other.entries is not None:
        return _of_listed(one.entries, other.entries)
    return sum(
        float(np.vdot(one.rows(rows.start, rows.stop), other.rows(rows.start, rows.stop)))
        for rows in block_rows(one.shape, BLOCK_ELEMENTS)
    )


def _of_lowrank(one: LowRank, other: LowRank) -> float:
    """⟨A₁B₁, A₂B₂⟩ = ⟨A₁ᵀA₂, B₁B₂ᵀ⟩, some columns at a time."""
    a2, b2 = other.a[:].astype(np.float64), other.b[:].astype(np.float64)
    a1, b1 = one.a[:], one.b[:]
    total = 0.0
    for start in range(0, one.size, _COLUMNS):
        some = slice(start, start + _COLUMNS)
        left, right = a1[:, some].astype(np.float64), b1[some].astype(np.float64)
        total += float(np.vdot(left.T @ a2, right @ b2.T))
    return total


def _of_listed_and_lowrank(entries: Entries, low: LowRank) -> float:
    """Σ vᵢⱼ aᵢ·bⱼ over the listed entries."""
    a, b = low.a[:].astype(np.float64), low.b[:].astype(np.float64)
    total = 0.0
    for start in range(0, entries.indices.size, CHUNK):
        some = slice(start, start + CHUNK)
        row, column = np.divmod(entries.indices[some].astype(np.int64), low.shape[1])
        values = wide(entries.values[some])
        total += sum(float(values @ (a[row, rank] * b[rank, column])) for rank in range(low.size))
    return total


def _of_listed(one: Entries, other: Entries) -> float:
    """Σ vᵢⱼ wᵢⱼ over the entries that both list."""
    total = 0.0
    for start in range(0, one.indices.size, CHUNK):
        some = slice(start, start + CHUNK)
        places, values = one.indices[some].astype(np.int64), wide(one.values[some])
        first = int(places[0])
        found, others = other.between(first, int(places[-1]) + 1)
        _, mine, theirs = np.intersect1d(
            places - first, found, assume_unique=True, return_indices=True
        )
        total += float(values[mine] @ wide(others)[theirs])
    return total
