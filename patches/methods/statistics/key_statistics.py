"""Second moments of keys: computed once for a base and a layer, then kept in a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...checkpoints.models import EditableModel
from ...progress import Progress, silent
from .keeping import Kept, Key, digest
from .second_moment import second_moments
from .text import OwnWriting, Text, TextFile

_FORMAT = 1
_NAME = "second_moment"
_WRITING = "own_writing"
_ROUNDING = 1e-3


@dataclass(frozen=True, eq=False)
class SecondMoment:
    """E[k kᵀ], float32 [in, in], and what it was estimated from, as a manifest names it."""

    matrix: NDArray[np.float32]
    record: Mapping[str, Any]


class KeyStatistics:
    """Where second moments come from: the `folder` where they are kept, or the model on `text`.

    Without a text file the model's own writing is used; it, too, is kept in the folder. Without a
    folder nothing is kept.
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
        kept = Kept(self.folder)
        own = OwnWriting(model, tokens) if self.text is None else None
        text: Text = own or TextFile(model, self.text or Path(), tokens)
        keys = {layer: _key(model, layer, text) for layer in layers}
        found: dict[int, NDArray[np.float32]] = {}
        for layer, key in keys.items():
            _, inputs = model.sizes(layer)
            matrix = kept.read(_NAME, key, dtype=np.float32, shape=(inputs, inputs))
            if matrix is not None and _can_be(matrix):
                found[layer] = matrix
        missing = [layer for layer in layers if layer not in found]
        if missing:
            windows = _written(own, kept, progress) if own else text.windows(progress)
            for layer, moment in second_moments(model, missing, windows, progress).items():
                found[layer] = moment.float().numpy()
                kept.write(_NAME, keys[layer], found[layer])
        return {
            layer: SecondMoment(found[layer], _record(keys[layer], found[layer]))
            for layer in layers
        }


def _written(own: OwnWriting, kept: Kept, progress: Progress) -> torch.Tensor:
    """The windows of what the model writes: those kept, or written and kept now."""
    key = {
        "format": _FORMAT,
        "base": own.model.checkpoint.fingerprint,
        "tokenizer": own.model.checkpoint.tokenizer_digest,
        "source": own.source,
    }
    array = kept.read(_WRITING, key, dtype=np.int64, shape=own.shape)
    if array is not None and own.can_be(array):
        return torch.tensor(array)
    windows = own.windows(progress)
    kept.write(_WRITING, key, windows.numpy())
    return windows


def _can_be(matrix: NDArray[np.float32]) -> bool:
    """Whether a matrix is finite, and symmetric but for rounding."""
    largest = np.abs(matrix).max()
    return bool(np.isfinite(largest) and np.abs(matrix - matrix.T).max() <= _ROUNDING * largest)


def _key(model: EditableModel, layer: int, text: Text) -> Key:
    return {
        "format": _FORMAT,
        "base": model.checkpoint.fingerprint,
        "module": model.architecture.module(layer),
        "source": text.source,
    }


def _record(key: Key, matrix: NDArray[np.float32]) -> Mapping[str, Any]:
    return {
        "kind": _NAME,
        "module": key["module"],
        "source": key["source"],
        "sha256": digest(matrix),
    }
