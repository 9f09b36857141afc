"""Arrays that took long to compute, kept in a folder, each in a file that says what it is."""

import contextlib
import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...format import jsonfile
from ...format.safetensors_file import METADATA_KEY, read_tensors, write_tensors

Key = Mapping[str, Any]
"""What an array is, as JSON; the same key means the same array."""


class Kept:
    """Arrays by name and key in a folder; without a folder nothing is kept.

    A file that is damaged, or is not what its key says, is as good as none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(
        self, name: str, key: Key, *, dtype: type[np.generic], shape: tuple[int, ...]
    ) -> NDArray[Any] | None:
        """The array that is kept under `key`, if it is there, undamaged and of this form."""
        file = self._file(key)
        if file is None or not file.is_file():
            return None
        try:
            tensors, metadata = read_tensors(file)
        except (InputError, OSError):
            return None
        array = tensors.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            return None
        return array if metadata.get(METADATA_KEY) == _label(key, array) else None

    def write(self, name: str, key: Key, array: NDArray[Any]) -> None:
        """Keep an array; a folder that cannot be written to costs time later, no more."""
        file = self._file(key)
        if file is None:
            return
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=file.parent, prefix=".") as folder:
                fresh = Path(folder) / file.name
                write_tensors(fresh, {name: array}, _label(key, array))
                fresh.replace(file)

    def _file(self, key: Key) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{hashlib.sha256(_canonical(key)).hexdigest()}.safetensors"


def digest(array: NDArray[Any]) -> str:
    """sha256 of an array's numbers, little-endian and row by row."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C")
    return hashlib.sha256(little.data).hexdigest()


def _label(key: Key, array: NDArray[Any]) -> str:
    """What a file says about itself; an array that was changed, or is another, contradicts it."""
    return _canonical({**key, "sha256": digest(array)}).decode()


def _canonical(value: Key) -> bytes:
    return jsonfile.canonical(value, what="key statistics")
