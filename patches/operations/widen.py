"""`widen`: neurons added to an MLP, as rows or columns appended to each of its tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from ..errors import ShapeMismatch
from ..stored_array import Part
from .base import Array, Widening
from .values import finite_norm, require_parts, require_values, rounded

_PARTS = ("rows", "columns")


@dataclass(frozen=True, eq=False)
class Widen(Widening):
    """Rows [n, …] appended to a tensor of shape `target`, or columns [out, n]."""

    values: Part
    along: int
    target: tuple[int, ...]

    kind: ClassVar[str] = "widen"

    @classmethod
    def read(cls, parts: Mapping[str, Part], shape: tuple[int, ...]) -> Self:
        """Check type, shape and finiteness; raises FormatError, ShapeMismatch, NonFinite."""
        require_parts(cls.kind, parts, {"rows"}, {"columns"})
        ((name, values),) = parts.items()
        axis = _PARTS.index(name)
        if len(shape) <= axis or len(values.shape) != len(shape):
            raise ShapeMismatch(f"{name} {list(values.shape)} cannot be appended to {list(shape)}")
        expected = tuple(
            values.shape[axis] if place == axis else length for place, length in enumerate(shape)
        )
        require_values(values, expected, what=f"{name} to append")
        operation = cls(values, axis, shape)
        operation.norm()
        return operation

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor that it changes."""
        return self.target

    @property
    def axis(self) -> int:
        """0 for rows, 1 for columns."""
        return self.along

    @property
    def size(self) -> int:
        """The number of neurons."""
        return int(self.values.shape[self.axis])

    @property
    def parts(self) -> Mapping[str, Part]:
        """The new rows or columns."""
        return {_PARTS[self.axis]: self.values}

    def slices(self, dtype: str) -> Array:
        """The new rows or columns as bits of `dtype`; raises NonFinite."""
        return rounded(self.values[:], dtype)

    def norm(self) -> float:
        """Frobenius norm of what is added."""
        return finite_norm(self.values, what="appended values")
