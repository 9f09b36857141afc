"""`dense`: the delta itself, in the tensor's shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..stored_array import Part
from .base import Addend, Fill
from .values import finite_norm, require_parts, require_values, single_values


@dataclass(frozen=True, eq=False)
class Dense(Addend):
    """A delta of the tensor's own shape: float32, float16, or bfloat16 as its bits (uint16)."""

    delta: Part

    kind: ClassVar[str] = "dense"
    is_single: ClassVar[bool] = True

    @classmethod
    def read(cls, parts: Mapping[str, Part], shape: tuple[int, ...]) -> Self:
        """Check type, shape and finiteness; raises FormatError, ShapeMismatch, NonFinite."""
        require_parts(cls.kind, parts, {"delta"})
        require_values(parts["delta"], shape, what="values of a dense delta")
        operation = cls(parts["delta"])
        operation.norm()
        return operation

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's own shape."""
        return self.delta.shape

    @property
    def size(self) -> int:
        """The number of entries."""
        return int(self.delta.size)

    @property
    def parts(self) -> Mapping[str, Part]:
        """The delta."""
        return {"delta": self.delta}

    def block(self, start: int, stop: int) -> Fill:
        """Rows of the delta, read at once and widened as they are asked for."""
        values = self.delta[start:stop].reshape(stop - start, -1)

        def fill(delta: NDArray[Any], first: int) -> None:
            np.copyto(delta, single_values(values[first : first + len(delta)]))

        return fill

    def norm(self) -> float:
        """Frobenius norm; raises NonFinite."""
        return self._norm

    @cached_property
    def _norm(self) -> float:
        return finite_norm(self.delta, what="values of a dense delta")
