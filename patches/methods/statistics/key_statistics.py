"""Second moments of keys: computed once for a base and a layer, then kept in a folder."""

import contextlib
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checkpoints.models import EditableModel
from ...errors import InputError
from ...format import jsonfile
from ...format.safetensors_file import METADATA_KEY, read_tensors, write_tensors
from ...progress import Progress, silent
from .second_moment import second_moments
from .text import Text, text_for

_FORMAT = 1
_NAME = "second_moment"


@dataclass(frozen=True, eq=False)
class SecondMoment:
    """E[k kᵀ], float32 [in, in], and what it was estimated from, as a manifest names it."""

    matrix: NDArray[np.float32]
    record: Mapping[str, Any]


class KeyStatistics:
    """Where second moments come from: the `folder` where they are kept, or the model on `text`.

    Without a text file the model's own writing is used. Without a folder nothing is kept.
    """

    def __init__(self, folder: Path | None = None, text: Path | None = None) -> None:
        self.folder = folder
        self.text = text

    def second_moments(
        self,
        model: EditableModel,
        layers: Sequence[int],
        tokens: int,
        progress: Progress = silent,
    ) -> dict[int, SecondMoment]:
        """The second moment of each layer, from about `tokens` tokens.

        One pass over the text serves all layers that are not in the folder. Raises RequestRefused
        if the text cannot be used.
        """
        text = text_for(model, self.text, tokens)
        keys = {layer: _key(model, layer, text) for layer in layers}
        found = {
            layer: matrix for layer, key in keys.items() if (matrix := self._read(key)) is not None
        }
        missing = [layer for layer in layers if layer not in found]
        if missing:
            windows = text.windows(progress)
            for layer, moment in second_moments(model, missing, windows, progress).items():
                found[layer] = moment.float().numpy()
                self._write(keys[layer], found[layer])
        return {
            layer: SecondMoment(found[layer], _record(keys[layer], found[layer]))
            for layer in layers
        }

    def _file(self, key: Mapping[str, Any]) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / f"{hashlib.sha256(_canonical(key)).hexdigest()}.safetensors"

    def _read(self, key: Mapping[str, Any]) -> NDArray[np.float32] | None:
        """What is kept under `key`, if it is there and undamaged."""
        file = self._file(key)
        if file is None or not file.is_file():
            return None
        try:
            tensors, metadata = read_tensors(file)
        except (InputError, OSError):
            return None
        matrix = tensors.get(_NAME)
        if matrix is None or metadata.get(METADATA_KEY) != _label(key, matrix):
            return None
        return matrix

    def _write(self, key: Mapping[str, Any], matrix: NDArray[np.float32]) -> None:
        """Keep a matrix; a folder that cannot be written to costs time later, no more."""
        file = self._file(key)
        if file is None:
            return
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=file.parent, prefix=".") as folder:
                fresh = Path(folder) / file.name
                write_tensors(fresh, {_NAME: matrix}, _label(key, matrix))
                fresh.replace(file)


def _key(model: EditableModel, layer: int, text: Text) -> Mapping[str, Any]:
    return {
        "format": _FORMAT,
        "base": model.checkpoint.fingerprint,
        "module": model.architecture.module(layer),
        "source": text.source,
    }


def _canonical(value: Mapping[str, Any]) -> bytes:
    return jsonfile.canonical(value, what="key statistics")


def _label(key: Mapping[str, Any], matrix: NDArray[np.float32]) -> str:
    """What a file says about itself; a matrix that was changed, or is another, contradicts it."""
    return _canonical({**key, "sha256": _digest(matrix)}).decode()


def _record(key: Mapping[str, Any], matrix: NDArray[np.float32]) -> Mapping[str, Any]:
    return {
        "kind": _NAME,
        "module": key["module"],
        "source": key["source"],
        "sha256": _digest(matrix),
    }


def _digest(matrix: NDArray[np.float32]) -> str:
    return hashlib.sha256(matrix.astype("<f4", order="C").data).hexdigest()
