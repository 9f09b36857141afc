"""Low-rank parts on one tensor merged to the lowest rank that changes no bit of the result."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..arithmetic.grid import MAX_RANK
from ..checkpoints.checkpoint import Checkpoint
from ..draft import OWN
from ..errors import NonFinite
from ..operations.base import Operation
from ..operations.lowrank import LowRank
from ..progress import Progress
from ..summation import PatchedTensor, patched_tensor
from ..terms import Term, Terms
from .keyed import Wide

_NEGLIGIBLE = 1e-13
"""Singular values below this part of the largest are what float64 makes of zero."""
_REFINED = 3
"""Parts of one rank that the refined form of A·B takes."""
_DEPENDENT = 1e-9
"""Rows of length 1 nearer than this to the span of others are said to lie in it."""
_DIGITS = 40
"""Binary digits behind the point of what a row is written with in others."""


@dataclass(frozen=True)
class Compacted:
    """What became of the low-rank parts on a tensor: how many, of which rank in all, how large.

    `rank` and `nbytes` after are those before if no lower rank gives the same bits.
    """

    parts: int
    rank_before: int
    rank: int
    nbytes_before: int
    nbytes: int


def compacted(
    checkpoint: Checkpoint, terms: Terms, progress: Progress
) -> tuple[dict[str, Sequence[Term]], dict[str, Any]]:
    """The terms with low-rank parts merged, and what became of each tensor that has several.

    Each result is compared with that of the parts on this base, bit by bit: a merged part is taken
    only if all are the same and it is smaller. Raises NonFinite.
    """
    found: dict[str, Sequence[Term]] = dict(terms)
    report: dict[str, Any] = {}
    several = [name for name, each in terms.items() if len(_low(each)) > 1]
    for done, tensor in enumerate(several):
        progress("compacting", done, len(several))
        parts = _low(terms[tensor])
        merged = _Tensor(checkpoint, tensor, terms[tensor]).smallest()
        if merged:
            others = [t.operation for t in terms[tensor] if not isinstance(t.operation, LowRank)]
            found[tensor] = [
                Term(OWN, index, each) for index, each in enumerate([*merged, *others])
            ]
        after = merged or parts
        report[tensor] = asdict(
            Compacted(len(parts), _rank(parts), _rank(after), _nbytes(parts), _nbytes(after))
        )
    return found, report


class _Tensor:
    """One tensor, the sum of its terms, and its low-rank terms side by side as A·B."""

    def __init__(self, checkpoint: Checkpoint, name: str, terms: Sequence[Term]) -> None:
        stored = checkpoint.resolve(name)
        self.part = checkpoint.array(stored)
        self.dtype = checkpoint.tensors[stored].dtype
        self.terms = [term.operation for term in terms]
        self.others = [each for each in self.terms if not isinstance(each, LowRank)]
        self.low = _low(terms)
        self.a = np.concatenate([each.a[:] for each in self.low], axis=1, dtype=np.float64)
        self.b = np.concatenate([each.b[:] for each in self.low], axis=0, dtype=np.float64)

    def smallest(self) -> list[LowRank] | None:
        """The fewest factors that give the same bits; None if none are fewer than the parts.

        First the lowest rank of the singular value decomposition. If even the numeric rank changes
        a bit, some of the rows of B themselves with all others written in them: rows that stand
        there twice are then written once, exactly. Where the grid is too coarse for either, with
        what it leaves of the factors as further parts.
        """
        left, sizes, right = _svd(self.a, self.b)
        root = np.sqrt(sizes)
        a, b = left * root, root[:, None] * right
        found = self._lowest(a, b, refined=False)
        if found or not 0 < len(sizes) < self.a.shape[1]:
            return found
        rows = spanned(self.a, self.b)
        return (
            self._fitting(*rows, refined=False)
            or self._fitting(*rows, refined=True)
            or self._lowest(a, b, refined=True)
        )

    def _lowest(self, a: Wide, b: Wide, *, refined: bool) -> list[LowRank] | None:
        """By bisection, taking it that a rank above one that will do will do too."""
        low, high = 1, min(len(b), (self.a.shape[1] - 1) // (_REFINED if refined else 1))
        best = self._fitting(a[:, :high], b[:high], refined=refined)
        while best and low < high:
            middle = (low + high) // 2
            found = self._fitting(a[:, :middle], b[:middle], refined=refined)
            low, high = (low, middle) if found else (middle + 1, high)
            best = found or best
        return best

    def _fitting(self, a: Wide, b: Wide, *, refined: bool) -> list[LowRank] | None:
        """A·B on the grid, if that gives the same bits and is smaller than the parts."""
        try:
            found = _factors(a, b, refined=refined)
            if not 0 < _nbytes(found) < _nbytes(self.low):
                return None
            fits = self._is_same([*found, *self.others])
        except NonFinite:
            return None
        return found if fits else None

    def _is_same(self, operations: Sequence[Operation]) -> bool:
        """Whether some operations give the bits that the terms give; raises NonFinite."""
        wanted, found = (
            patched_tensor(self.part, self.dtype, each) for each in (self.terms, operations)
        )
        return all(_same_block(wanted, found, start) for start in wanted.starts())


def _same_block(wanted: PatchedTensor, found: PatchedTensor, start: int) -> bool:
    return wanted.block(start).tobytes() == found.block(start).tobytes()


def _svd(a: Wide, b: Wide) -> tuple[Wide, Wide, Wide]:
    """U [out, r], s [r], V [r, in] of A·B, r its numeric rank, from thin QR factors of A and Bᵀ."""
    left, upper = np.linalg.qr(a)
    right, lower = np.linalg.qr(b.T)
    u, sizes, v = np.linalg.svd(upper @ lower.T, full_matrices=False)
    rank = int(np.count_nonzero(sizes > _NEGLIGIBLE * sizes[0]))
    return left @ u[:, :rank], sizes[:rank], v[:rank] @ right.T


def spanned(a: Wide, b: Wide) -> tuple[Wide, Wide]:
    """A·B = (A M)·B' with B' some rows of B that span them all, B = M B'.

    The rows are chosen as in a QR factorisation with pivots: each the one farthest from the span of
    those before. M is cleared of what float64 makes of zeros and ones.
    """
    lengths = np.linalg.norm(b, axis=1, keepdims=True)
    left = b / np.where(lengths > 0, lengths, 1)
    chosen: list[int] = []
    while len(chosen) < min(b.shape):
        sizes = np.linalg.norm(left, axis=1)
        farthest = int(sizes.argmax())
        if sizes[farthest] <= _DEPENDENT:
            break
        chosen.append(farthest)
        direction = left[farthest] / sizes[farthest]
        left = left - np.outer(left @ direction, direction)
    rows = b[sorted(chosen)]
    written = np.linalg.lstsq(rows.T, b.T)[0].T
    return a @ np.ldexp(np.rint(np.ldexp(written, _DIGITS)), -_DIGITS), rows


def _factors(a: Wide, b: Wide, *, refined: bool) -> list[LowRank]:
    """A·B on the grid, in parts of at most MAX_RANK; `refined`, with what snapping left out."""
    return [part for some in _ranks(a.shape[1]) for part in _parts(a[:, some], b[some], refined)]


def _parts(a: Wide, b: Wide, refined: bool) -> Iterator[LowRank]:
    main = LowRank.snapped(a, b)
    yield main
    rest_a, rest_b = a - main.a[:], b - main.b[:]
    if refined and rest_b.any():
        yield LowRank.snapped(main.a[:], rest_b)
    if refined and rest_a.any():
        yield LowRank.snapped(rest_a, main.b[:])


def _ranks(rank: int) -> list[slice]:
    return [slice(start, start + MAX_RANK) for start in range(0, rank, MAX_RANK)]


def _low(terms: Sequence[Term]) -> list[LowRank]:
    return [term.operation for term in terms if isinstance(term.operation, LowRank)]


def _rank(parts: Sequence[LowRank]) -> int:
    return sum(part.size for part in parts)


def _nbytes(parts: Sequence[LowRank]) -> int:
    return sum(array.nbytes for part in parts for array in part.parts.values())
