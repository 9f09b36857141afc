"""A patch on a model, its small deltas in memory, so that they outlive their folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from ..errors import ManifestError
from ..format.manifest import BaseRecord
from ..format.patch import Patch
from ..operations.base import Operation
from ..stored_array import StoredArray

HELD_BYTES = 1 << 20
"""An operation up to this size is held in memory."""

HELD_SHARE = 4
"""So is one with at most a byte for every four weights of its tensor: the copy of the original
bits takes eight times that or more."""


@dataclass(frozen=True, eq=False)
class Joined:
    """A patch on a model, as made for some of its bases; `given` is the patch as it was given."""

    given: Patch
    patch: Patch
    bases: tuple[BaseRecord, ...]

    @classmethod
    def of(cls, patch: Patch, bases: Sequence[BaseRecord]) -> "Joined":
        """Read the small deltas of `patch`; raises what reading it raises, and OSError."""
        held = replace(patch)
        # What the patch would read when it is asked the first time.
        vars(held)["operations"] = {
            name: tuple(_held(operation) for operation in operations)
            for name, operations in patch.operations.items()
        }
        patch.require_unchanged()
        return cls(patch, held, tuple(bases))


@contextmanager
def reading() -> Iterator[None]:
    """Turn what a file that is gone or unreadable raises into ManifestError."""
    try:
        yield
    except OSError as error:
        name = Path(str(error.filename)).name if error.filename else "a file of a patch"
        raise ManifestError(
            f"{name} cannot be read: {error.strerror}",
            why="large deltas stay in their patch's folder and are read when they are summed",
            hint="put the folder back, or take all patches off with weightpatch.detach_all(model)",
        ) from None


def _held(operation: Operation) -> Operation:
    parts = operation.parts
    size = sum(part.nbytes for part in parts.values())
    if size > max(HELD_BYTES, prod(operation.shape) // HELD_SHARE):
        return operation
    if not any(isinstance(part, StoredArray) for part in parts.values()):
        return operation
    return type(operation).read({name: part[:] for name, part in parts.items()}, operation.shape)
