"""weightpatch.undo: the base's values of listed entries, so that a build can be undone by itself.

It is a delta file of `replace` operations. It exists for tensors of which all operations list the
entries they change, and is no larger than those were; what `widen` appends is undone by cutting.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from ..digests import sha256_file
from ..errors import CheckpointRefused
from ..format.names import join_key, split_key
from ..format.safetensors_file import open_tensors, write_tensors
from ..operations.base import Array, Operation, Widening
from ..operations.entries import Entries
from ..operations.replace import Replace
from ..stored_array import Part
from ..summation import BLOCK_ELEMENTS, PatchedTensor
from .record import FORMAT, BuildRecord

UNDO = "weightpatch.undo"
MAX_ENTRIES = 1 << 22
"""Entries kept at most in all; a build with more is undone from its base."""


def write_undo(
    folder: Path, rewrites: Mapping[str, PatchedTensor], kept: Mapping[str, Replace]
) -> None:
    """Write what undoes `rewrites` into a build, if anything can be undone by it.

    `kept` undoes other tensors of it: those that were changed before, and are not now.
    """
    undoing = _limited(kept, _undoing(rewrites))
    tensors = {
        join_key(name, Replace.kind, 0, part): array
        for name, operation in undoing.items()
        for part, array in operation.parts.items()
    }
    if tensors:
        write_tensors(folder / UNDO, tensors, FORMAT)


def _limited(
    kept: Mapping[str, Replace], undoing: Iterable[tuple[str, Replace]]
) -> dict[str, Replace]:
    """All of them, or none if they are too many: which came first must not make a difference."""
    found = dict(kept)
    left = MAX_ENTRIES - sum(operation.size for operation in kept.values())
    for name, operation in undoing:
        found[name] = operation
        left -= operation.size
        if left < 0:
            return {}
    return found


def _undoing(rewrites: Mapping[str, PatchedTensor]) -> Iterator[tuple[str, Replace]]:
    for name, tensor in rewrites.items():
        if found := _entries(tensor.operations):
            lists = [each.indices[:].astype(np.int64) for each in found]
            indices = np.unique(np.concatenate(lists))
            values = _values(tensor.part, indices)
            yield name, Replace(values, indices, tensor.part.shape)


def read_undo(folder: Path, record: BuildRecord) -> dict[str, Replace]:
    """The operations that undo a build's tensors; none if it holds no such file.

    Raises CheckpointRefused if the file is not that of the record, FormatError, ShapeMismatch.
    """
    file = folder / UNDO
    if UNDO not in record.files:
        return {}
    if not file.is_file() or sha256_file(file) != record.files[UNDO]:
        raise CheckpointRefused(
            f"{UNDO} in {folder} is not that of the build", hint="use the base with --base"
        )
    parts: dict[str, dict[str, Part]] = {}
    for key, array in open_tensors(file)[0].items():
        tensor, _, rest = split_key(key)
        parts.setdefault(tensor, {})[rest.partition(".")[2]] = array
    return {
        name: Replace.read(found, record.tensors[name].shape)
        for name, found in parts.items()
        if name in record.tensors
    }


def _entries(operations: Sequence[Operation]) -> list[Entries]:
    """The entries that the operations list; none if one of them changes all."""
    found = [each.entries for each in operations if not isinstance(each, Widening)]
    return [] if None in found else [each for each in found if each is not None]


def _values(part: Part, indices: Array) -> Array:
    """The entries of `part` at flat `indices`, which increase."""
    columns = prod(part.shape[1:])
    step = max(1, BLOCK_ELEMENTS // max(1, columns))
    values = np.empty(len(indices), dtype=part.dtype)
    for start in range(0, part.shape[0], step):
        low, high = np.searchsorted(indices, (start * columns, (start + step) * columns))
        if low < high:
            block = part[start : start + step].reshape(-1)
            values[low:high] = block[indices[low:high] - start * columns]
    return values
