"""What every way of composing takes and gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ..errors import Unsupported
from ..format.patch import Patch
from ..operations.base import Addend, Array
from ..progress import Progress, silent
from ..terms import Term


@dataclass(frozen=True)
class Work:
    """What is composed: versions by digest, a weight for each, and a folder for large results."""

    members: Sequence[Patch]
    weights: Sequence[float]
    scratch: Path
    progress: Progress = silent

    def tensors(self) -> list[str]:
        """The tensors that a member changes, sorted."""
        return sorted({name for patch in self.members for name in patch.operations})

    def file(self, number: int, part: str) -> Path:
        """A file of its own for one part of the `number`-th result."""
        return self.scratch / f"{number}.{part}"


@dataclass(frozen=True)
class Merged:
    """Terms to store in order of summation, arrays to keep beside them, and what was found out."""

    terms: Mapping[str, Sequence[Term]]
    auxiliary: Mapping[str, Array]
    seed: int | None = None
    found: Mapping[str, Any] = field(default_factory=dict)


class Merge(Protocol):
    """One way to make one delta of several.

    `Settings` is a dataclass of what it can be told; `title` says what it does in one line. One
    that is not `weighted` takes no weights.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    weighted: ClassVar[bool]
    Settings: ClassVar[type]

    def merge(self, work: Work, settings: Any) -> Merged:  # noqa: ANN401 - its own Settings
        """The merged delta of all members."""


def addends(patch: Patch, tensor: str, why: str) -> list[Addend]:
    """The terms of a patch on a tensor, all of which can be added; raises Unsupported."""
    operations = patch.operations.get(tensor, ())
    for operation in operations:
        if not isinstance(operation, Addend):
            raise Unsupported(
                f"{patch.label} changes {tensor} by {operation.kind}: {why}",
                hint="compose it by the plain sum, without weights, or leave it out",
            )
    return [operation for operation in operations if isinstance(operation, Addend)]
