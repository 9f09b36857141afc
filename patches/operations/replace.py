"""`replace`: new values for a whole tensor, or for listed entries of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import ClassVar, Self

from ..stored_array import Part
from .base import Array, Replacement
from .entries import Entries
from .values import finite_norm, require_parts, require_values, rounded


@dataclass(frozen=True, eq=False)
class Replace(Replacement):
    """New values: all of a tensor of shape `target`, or those at `indices`, which increase."""

    values: Part
    indices: Part | None
    target: tuple[int, ...]

    kind: ClassVar[str] = "replace"

    @classmethod
    def read(cls, parts: Mapping[str, Part], shape: tuple[int, ...]) -> Self:
        """Check all parts; raises FormatError, ShapeMismatch, NonFinite."""
        require_parts(cls.kind, parts, {"values"}, {"indices", "values"})
        operation = cls(parts["values"], parts.get("indices"), shape)
        if operation.entries:
            operation.entries.check(prod(shape))
        else:
            require_values(operation.values, shape, what="values that replace a tensor")
            operation.norm()
        return operation

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor that it changes."""
        return self.target

    @cached_property
    def entries(self) -> Entries | None:
        """The listed entries, or None if the whole tensor is replaced."""
        return None if self.indices is None else Entries(self.indices, self.values)

    @property
    def size(self) -> int:
        """The number of new values."""
        return int(self.values.size)

    @property
    def parts(self) -> Mapping[str, Part]:
        """The values, and where they go."""
        listed = {} if self.indices is None else {"indices": self.indices}
        return {"values": self.values, **listed}

    def overwrite(self, bits: Array, dtype: str, start: int) -> None:
        """Put the new values into the rows from `start` on; raises NonFinite."""
        if self.entries is None:
            values = self.values[start : start + len(bits)]
            bits[:] = rounded(values, dtype).reshape(bits.shape)
            return
        columns = bits.shape[1]
        places, values = self.entries.between(start * columns, (start + len(bits)) * columns)
        bits.reshape(-1)[places] = rounded(values, dtype)

    def norm(self) -> float:
        """Frobenius norm of the new values."""
        return self._norm

    @cached_property
    def _norm(self) -> float:
        if self.entries is not None:
            return self.entries.norm()
        return finite_norm(self.values, what="values that replace a tensor")
