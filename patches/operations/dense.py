"""`dense`: the delta itself, float32 in the tensor's shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, NonFinite, ShapeMismatch
from .base import Array


@dataclass(frozen=True, eq=False)
class Dense:
    """A delta of the tensor's own shape, float32."""

    delta: NDArray[np.float32]

    kind: ClassVar[str] = "dense"

    @classmethod
    def read(cls, parts: Mapping[str, Array], shape: tuple[int, ...]) -> Self:
        """Check type, shape and finiteness; raises FormatError, ShapeMismatch, NonFinite."""
        if set(parts) != {"delta"}:
            raise FormatError(
                f"a dense operation needs the part delta, found {', '.join(sorted(parts))}"
            )
        delta = parts["delta"]
        if delta.dtype != np.float32:
            raise FormatError("the delta of a dense operation must be F32")
        if delta.shape != shape:
            raise ShapeMismatch(f"a delta {list(delta.shape)} does not fit {list(shape)}")
        if not np.isfinite(delta).all():
            raise NonFinite("a dense delta holds NaN or infinity")
        return cls(delta)

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's own shape."""
        return self.delta.shape

    @property
    def size(self) -> int:
        """The number of entries."""
        return int(self.delta.size)

    @property
    def parts(self) -> Mapping[str, Array]:
        """The delta."""
        return {"delta": self.delta}

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows of the delta, widened."""
        block = self.delta[start:stop]
        return block.reshape(block.shape[0], -1).astype(np.float64)

    def norm(self) -> float:
        """Frobenius norm, summed in float64."""
        return float(np.linalg.norm(self.delta.astype(np.float64).ravel()))
