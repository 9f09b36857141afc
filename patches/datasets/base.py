"""What a data set is, and what a loader does."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from ..requests import EditRequest


@dataclass(frozen=True)
class Refused:
    """A record that cannot be used: its number from 1 (of a JSON Lines file, its line), and why."""

    number: int
    reason: str
    unit: str = "record"

    def __str__(self) -> str:
        return f"{self.unit} {self.number}: {self.reason}"


@dataclass(frozen=True)
class Loaded:
    """The requests that a file holds, in its order, and the records that are none."""

    requests: tuple[EditRequest, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class DataSet:
    """Requests out of one file, known by its sha256; `refused` were left out of them."""

    name: str
    requests: tuple[EditRequest, ...]
    sha256: str
    refused: tuple[Refused, ...] = ()


class Loader(Protocol):
    """Reads one published form; found by name in the plugin group `weightpatch.datasets`."""

    name: ClassVar[str]
    title: ClassVar[str]
    shipped: ClassVar[str | None]
    """The file that ships with the package, in `shipped/`; None where a file must be given."""

    def read(self, data: bytes, *, name: str) -> Loaded:
        """Read a whole file; `name` names it in errors.

        Flawed records are collected. Raises InputError if the file as a whole cannot be read.
        """
        ...
