"""What every operation promises, and the one way from a delta's tensors to operations."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Operation(Protocol):
    """One term of the delta of one tensor.

    `parts` are the arrays as stored under `<parameter>::<kind>.<index>.<part>`. `rows(i, j)` gives
    rows i to j of the delta as float64 [j - i, columns], exactly, whatever the blocking.
    """

    kind: ClassVar[str]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor that it changes."""

    @property
    def size(self) -> int:
        """Its rank, or the number of entries that it changes."""

    @property
    def parts(self) -> Mapping[str, Array]:
        """Arrays to store, by part name."""

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows of the delta, with all axes but the first flattened into one."""

    def norm(self) -> float:
        """Frobenius norm, computed without unfolding where that is possible."""

    @classmethod
    def read(cls, parts: Mapping[str, Array], shape: tuple[int, ...]) -> Self:
        """Check the stored arrays against the tensor's shape; raises InputError."""
