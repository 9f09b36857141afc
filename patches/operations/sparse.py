"""`sparse`: numbers added to listed entries; all others keep their bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..stored_array import Part
from .base import Addend, Fill
from .entries import Entries
from .values import require_parts, wide


@dataclass(frozen=True, eq=False)
class Sparse(Addend):
    """Values added at flat indices, which increase, of a tensor of shape `target`."""

    listed: Entries
    target: tuple[int, ...]

    kind: ClassVar[str] = "sparse"

    @classmethod
    def read(cls, parts: Mapping[str, Part], shape: tuple[int, ...]) -> Self:
        """Check all parts; raises FormatError, ShapeMismatch, NonFinite."""
        require_parts(cls.kind, parts, {"indices", "values"})
        entries = Entries(parts["indices"], parts["values"])
        entries.check(prod(shape))
        return cls(entries, shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor that it changes."""
        return self.target

    @property
    def entries(self) -> Entries:
        """The entries that it changes."""
        return self.listed

    @property
    def size(self) -> int:
        """The number of entries that it changes."""
        return int(self.listed.indices.size)

    @property
    def parts(self) -> Mapping[str, Part]:
        """Indices and values."""
        return {"indices": self.listed.indices, "values": self.listed.values}

    def block(self, start: int, stop: int) -> Fill:
        """Rows of the delta, zero where nothing is listed."""
        columns = prod(self.shape[1:])
        places, stored = self.listed.between(start * columns, stop * columns)
        values = wide(stored)

        def fill(delta: NDArray[np.float64], first: int) -> None:
            low, high = first * columns, (first + len(delta)) * columns
            here = slice(*np.searchsorted(places, (low, high)))
            delta.fill(0)
            delta.reshape(-1)[places[here] - low] = values[here]

        return fill

    def norm(self) -> float:
        """Frobenius norm."""
        return self.listed.norm()
