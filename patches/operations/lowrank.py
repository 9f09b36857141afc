"""`lowrank`: the delta is A·B, A [out, r] and B [r, in] float32 on the grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..arithmetic.grid import MAX_RANK, require_on_grid, snap
from ..errors import FormatError, ShapeMismatch
from ..stored_array import Part
from .base import Addend, Fill
from .values import require_parts

_RANK_AT_ONCE = 64
"""Rows of B held as float64, so that memory does not grow with the rank."""


@dataclass(frozen=True, eq=False)
class LowRank(Addend):
    """A·B with A [out, r] and B [r, in], both float32 and snapped."""

    a: Part
    b: Part

    kind: ClassVar[str] = "lowrank"

    @classmethod
    def snapped(cls, a: NDArray[np.floating], b: NDArray[np.floating]) -> Self:
        """Snap factors of any float type to the grid; raises NonFinite."""
        return cls(snap(a, axis=1), snap(b, axis=0))

    @classmethod
    def read(cls, parts: Mapping[str, Part], shape: tuple[int, ...]) -> Self:
        """Check types, shapes, rank and grid; raises FormatError, ShapeMismatch, OffGrid."""
        require_parts(cls.kind, parts, {"A", "B"})
        a, b = parts["A"], parts["B"]
        if a.dtype != np.float32 or b.dtype != np.float32:
            raise FormatError("factors of a lowrank operation must be F32")
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
            raise ShapeMismatch(f"factors {list(a.shape)} and {list(b.shape)} cannot be multiplied")
        if (a.shape[0], b.shape[1]) != shape:
            raise ShapeMismatch(
                f"factors {list(a.shape)} and {list(b.shape)} do not make {list(shape)}"
            )
        if not 1 <= a.shape[1] <= MAX_RANK:
            raise ShapeMismatch(
                f"rank {a.shape[1]} is outside 1 to {MAX_RANK}",
                hint="split a higher rank into several lowrank operations",
            )
        require_on_grid(a[:], axis=1, what="factor A")
        require_on_grid(b[:], axis=0, what="factor B")
        return cls(a, b)

    @property
    def shape(self) -> tuple[int, ...]:
        """[out, in]."""
        return (self.a.shape[0], self.b.shape[1])

    @property
    def size(self) -> int:
        """The rank r."""
        return int(self.a.shape[1])

    @property
    def parts(self) -> Mapping[str, Part]:
        """The two factors."""
        return {"A": self.a, "B": self.b}

    def block(self, start: int, stop: int) -> Fill:
        """A[start:stop]·B in float64; exact in any order of summation (see grid)."""
        a = self.a[start:stop].astype(np.float64)
        if self.size > _RANK_AT_ONCE:
            return self._summed(a)
        b = self.b[:].astype(np.float64)

        def fill(delta: NDArray[np.float64], first: int) -> None:
            rows = a[first : first + len(delta)]
            if len(b) == 1:
                np.multiply(rows, b, out=delta)
            else:
                np.matmul(rows, b, out=delta)

        return fill

    def _summed(self, a: NDArray[np.float64]) -> Fill:
        """The same with only some rows of B in memory at a time; every partial sum is exact."""
        whole = np.zeros((len(a), self.shape[1]))
        for start in range(0, self.size, _RANK_AT_ONCE):
            some = slice(start, start + _RANK_AT_ONCE)
            whole += a[:, some] @ self.b[some].astype(np.float64)

        def fill(delta: NDArray[np.float64], first: int) -> None:
            delta[:] = whole[first : first + len(delta)]

        return fill

    def norm(self) -> float:
        """‖AB‖ = √⟨AᵀA, BBᵀ⟩, from the factors alone."""
        return self._norm

    @cached_property
    def _norm(self) -> float:
        a, b = self.a[:].astype(np.float64), self.b[:].astype(np.float64)
        return float(np.sqrt(max(0.0, np.sum((a.T @ a) * (b @ b.T)))))
