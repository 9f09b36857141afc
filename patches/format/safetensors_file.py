"""The safetensors container, read strictly and written reproducibly."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..stored_array import Part, StoredArray, blocks, raw_bytes
from .file_kinds import recognise
from .names import quoted
from .safetensors_header import (
    CHECKPOINT,
    DELTA,
    METADATA,
    Header,
    Limits,
    Record,
    parse_header,
)

__all__ = [
    "CHECKPOINT",
    "DELTA",
    "METADATA_KEY",
    "Header",
    "Limits",
    "Record",
    "open_tensors",
    "read_header",
    "read_tensors",
    "write_tensors",
]

METADATA_KEY = "weightpatch"
_PREFIX = 8
_SNIFFED = 512
_WRITTEN_AT_ONCE = 1 << 18
_NUMPY: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
}
"""bfloat16, which NumPy lacks, is held as its bits; U16 itself is no type of a delta."""
_SPELLING = {dtype: name for name, dtype in _NUMPY.items()}


def read_header(
    file: BinaryIO, limits: Limits = DELTA, *, what: str = "delta.safetensors"
) -> Header:
    """Read and check the header of an open file; `what` names the file in errors.

    Nothing is allocated that the size of the file does not allow. Raises FormatError, or
    NameRefused if limits are strict.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_SNIFFED)
    length = int.from_bytes(head[:_PREFIX], "little")
    flaw = _length_flaw(length, size, limits)
    if not flaw and head[_PREFIX : _PREFIX + 1] != b"{":
        flaw = "its header does not begin with {"
    if flaw:
        raise _not_safetensors(head, flaw, what)
    file.seek(_PREFIX)
    return parse_header(file.read(length), size, limits, what=what)


def open_tensors(
    path: Path, *, check: Callable[[Header], None] | None = None
) -> tuple[dict[str, StoredArray], dict[str, str]]:
    """The tensors of a delta file in the order of the file, still unread, and its metadata.

    `check` sees the header, and may raise. Raises FormatError, NameRefused.
    """
    with path.open("rb") as file:
        header = read_header(file, DELTA, what=path.name)
    if check:
        check(header)
    tensors = {
        name: StoredArray(path, _NUMPY[record.dtype], record.shape, record.start)
        for name, record in header.tensors.items()
    }
    return tensors, header.metadata


def read_tensors(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read a delta file: its tensors, read-only and in the order of the file, and its metadata.

    Raises FormatError, NameRefused, SizeMismatch.
    """
    stored, metadata = open_tensors(path)
    tensors = {name: array[:] for name, array in stored.items()}
    for array in tensors.values():
        array.flags.writeable = False
    return tensors, metadata


def write_tensors(path: Path, tensors: Mapping[str, Part], metadata: str | None = None) -> None:
    """Write a delta file and flush it to the disk; the same input always gives the same bytes.

    Tensors that lie in other files are copied some rows at a time.

    Widest type first and then by name, so that every tensor is aligned without holes. `metadata` is
    kept under the one key "weightpatch". Raises FormatError or NameRefused for what `read_tensors`
    would refuse, before anything is written.
    """
    arrays = {name: _storable(name, array) for name, array in tensors.items()}
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    text = _header_text({name: arrays[name] for name in order}, metadata)
    size = _PREFIX + len(text) + sum(array.nbytes for array in arrays.values())
    flaw = _length_flaw(len(text), size, DELTA)
    if flaw:
        raise FormatError(f"{path.name} cannot be written: {flaw}")
    parse_header(text, size, DELTA, what=path.name)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(_PREFIX, "little") + text)
        for name in order:
            for block in blocks(arrays[name], _WRITTEN_AT_ONCE):
                file.write(raw_bytes(block))
        file.flush()
        os.fsync(file.fileno())


def _storable(name: str, array: Part) -> Part:
    little = array.dtype.newbyteorder("<")
    if little not in _SPELLING:
        raise FormatError(
            f"tensor {quoted(name)} of type {array.dtype} cannot be written to a delta",
            hint=f"allowed: {', '.join(sorted(_NUMPY))}",
        )
    return array if isinstance(array, StoredArray) else array.astype(little, order="C", copy=False)


def _header_text(arrays: Mapping[str, Part], metadata: str | None) -> bytes:
    header: dict[str, Any] = {} if metadata is None else {METADATA: {METADATA_KEY: metadata}}
    offset = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": _SPELLING[array.dtype],
            "shape": array.shape,
            "data_offsets": (offset, offset + array.nbytes),
        }
        offset += array.nbytes
    try:
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError("a name or the metadata of a delta holds half a character") from None
    return text + b" " * (-len(text) % 8)


def _length_flaw(length: int, size: int, limits: Limits) -> str | None:
    if size < _PREFIX:
        return f"it has only {size} bytes"
    if length > limits.header_bytes:
        return f"its header would take {length} bytes, more than {limits.header_bytes}"
    if length > size - _PREFIX:
        return f"its header would take {length} bytes, but only {size - _PREFIX} follow"
    return None


def _not_safetensors(head: bytes, flaw: str, what: str) -> FormatError:
    recognised = recognise(head)
    if recognised:
        kind, hint = recognised
        return FormatError(f"{what} is {kind}, not a safetensors file", why=flaw, hint=hint)
    return FormatError(
        f"{what} is not a safetensors file",
        why=flaw,
        hint="the download may be incomplete; fetch the file again",
    )
