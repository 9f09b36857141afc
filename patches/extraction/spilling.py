"""Operations that wait in files until all are found, so that memory holds those of one tensor."""

from pathlib import Path

from ..operations.base import Operation
from ..stored_array import Part, StoredArray, raw_bytes

HELD_BYTES = 1 << 18
"""A part up to this size stays in memory."""


def spilled(operation: Operation, folder: Path, stem: str) -> Operation:
    """The same operation with its large parts in files of `folder`, whose names begin with `stem`.

    A part that lies in a file already stays there.
    """
    large = [
        name
        for name, part in operation.parts.items()
        if part.nbytes > HELD_BYTES and not isinstance(part, StoredArray)
    ]
    if not large:
        return operation
    parts: dict[str, Part] = dict(operation.parts)
    for name in large:
        parts[name] = _written(parts[name], folder / f"{stem}.{name}")
    return type(operation).read(parts, operation.shape)


def _written(part: Part, file: Path) -> StoredArray:
    with file.open("wb") as stream:
        stream.write(raw_bytes(part[:]))
    return StoredArray(file, part.dtype, part.shape, 0)
