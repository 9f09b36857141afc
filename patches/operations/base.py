"""What every operation promises, and the one way from a delta's tensors to operations."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..stored_array import Part

if TYPE_CHECKING:
    from .entries import Entries

Array = NDArray[Any]


class Operation(ABC):
    """What a delta does to one tensor: one of the three kinds below.

    `parts` are the arrays as stored under `<parameter>::<kind>.<index>.<part>`.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor that it changes."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Its rank, or the number of entries or neurons that it changes."""

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, Part]:
        """Arrays to store, by part name."""

    @property
    def entries(self) -> "Entries | None":
        """The entries that it changes, if it lists them; None for all."""
        return None

    @abstractmethod
    def norm(self) -> float:
        """Frobenius norm of the delta, or of the new values where they are given as such."""

    @classmethod
    @abstractmethod
    def read(cls, parts: Mapping[str, Part], shape: tuple[int, ...]) -> Self:
        """Check the stored arrays against the tensor's shape; raises InputError."""


Fill = Callable[[NDArray[Any], int], None]
"""Writes rows of a delta, counted within a block, into a float64 array [rows, columns]."""


class Addend(Operation):
    """A term of the sum Δ, exact whatever the blocking."""

    is_single: ClassVar[bool] = False
    """Whether its entries are numbers of float32, and `block` fills arrays of that type too."""

    @abstractmethod
    def block(self, start: int, stop: int) -> Fill:
        """Prepare rows [start, stop), all axes but the first flattened into one.

        Several threads may each have a block of their own.
        """

    def rows(self, start: int, stop: int) -> NDArray[np.float64]:
        """Rows of the delta as float64 [stop - start, columns]."""
        delta = np.empty((stop - start, prod(self.shape[1:])))
        self.block(start, stop)(delta, 0)
        return delta


class Replacement(Operation):
    """New values in the place of the base's."""

    @abstractmethod
    def overwrite(self, bits: Array, dtype: str, start: int) -> None:
        """Put the new values into the rows from `start` on, `bits` [rows, columns], in place.

        Raises NonFinite if one does not fit `dtype`.
        """


class Widening(Operation):
    """Slices appended to a tensor at the end of one axis: neurons added to a layer."""

    @property
    @abstractmethod
    def axis(self) -> int:
        """The axis that grows, 0 or 1."""

    @abstractmethod
    def slices(self, dtype: str) -> Array:
        """The new slices as stored bits of `dtype`; raises NonFinite if one does not fit."""
