"""Whether a noisy matrix has a low rank: its singular vectors that stand out from the noise."""

import numpy as np
from numpy.typing import NDArray

from ..arithmetic.parallel import ordered
from ..operations.base import Array
from ..stored_array import block_rows

Decomposition = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""U [out, k], singular values [k] falling, Vᵀ [k, in]."""

_ELEMENTS = 1 << 18
_CANDIDATES = 3
_FALL = 1.05  # from the last value of a rank to the next, at least
_SPARE = 8  # columns beyond those wanted, for accuracy
_ROUNDS = 2


def standing_out(
    matrix: Array, noise: Array, most: int, random: np.random.Generator
) -> tuple[Decomposition, list[int]]:
    """The part of a matrix of `most` singular values or fewer, and the ranks that it may have.

    `noise` is a sample of its noise, of the matrix's shape. A rank ends above the noise, and where
    the values fall off most: of all, and of those after that. Rounding is not quite independent of
    what is rounded, so the noise has structure of its own, and its loudest value alone says little.
    """
    _, loudest, _ = leading(noise, 1, random)
    found = leading(matrix, most + 1, random)
    values = np.append(found[1], 0.0)[: most + 1]
    above = int(np.count_nonzero(values[:-1] > loudest[0]))
    falls = values[:-1][:above] / np.maximum(values[1:][:above], np.finfo(np.float64).tiny)
    ranks: list[int] = []
    first = 0
    while first < above and len(ranks) < _CANDIDATES:
        first += int(np.argmax(falls[first:])) + 1
        if falls[first - 1] > _FALL:
            ranks.append(first)
    return found, ranks


def leading(matrix: Array, count: int, random: np.random.Generator) -> Decomposition:
    """The largest singular values and their vectors, about.

    By a randomised range finder with power iterations (Halko, Martinsson and Tropp 2011, Finding
    structure with randomness, algorithm 4.4).
    """
    width = min(count + _SPARE, *matrix.shape)
    found = random.standard_normal((matrix.shape[1], width))
    for _ in range(_ROUNDS):
        left = _orthonormal(_times(matrix, found))
        found = _orthonormal(_transposed_times(matrix, left))
    q, r = np.linalg.qr(_times(matrix, found))
    u, values, vt = np.linalg.svd(r)
    kept = min(count, width)
    return (q @ u)[:, :kept], values[:kept], (vt @ found.T)[:kept]


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    q: NDArray[np.float64] = np.linalg.qr(columns)[0]
    return q


def _times(matrix: Array, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    narrow = columns.astype(matrix.dtype)
    rows = block_rows(matrix.shape, _ELEMENTS)
    found = ordered(lambda some: (matrix[some] @ narrow).astype(np.float64), rows)
    return np.concatenate(list(found))


def _transposed_times(matrix: Array, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    narrow = rows.astype(matrix.dtype)
    some = block_rows(matrix.shape, _ELEMENTS)
    found = ordered(lambda block: matrix[block].T @ narrow[block], some)
    total = np.zeros((matrix.shape[1], rows.shape[1]))
    for part in found:
        total += part
    return total
