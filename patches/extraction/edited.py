"""The tensors of a model after an edit, by the base's names for them, in the base's types."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ..arithmetic.parallel import ordered
from ..checkpoints.checkpoint import Checkpoint, TensorInfo
from ..digests import file_stamp
from ..errors import CheckpointRefused, Unsupported
from ..stored_array import Part, StoredArray, block_rows
from .pairing import pairs, told

BLOCK_BYTES = 1 << 20
"""Compared at a time."""


class Edited(Protocol):
    """An edited model, compared with its base one tensor at a time."""

    @property
    def label(self) -> str:
        """What it is called in errors."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shapes of all tensors of the base that the edited model has, too."""

    def differs(self, name: str) -> bool:
        """Whether a tensor, whose shape is the base's, has other bits."""

    def part(self, name: str) -> Part:
        """The bits of a tensor, of the base's type; raises NonFinite if they do not fit it."""

    def again(self) -> "Edited | None":
        """The model and its base as they are now; None if no file was touched since."""


class EditedCheckpoint:
    """A checkpoint beside the base that it was made from.

    Raises CheckpointRefused for other tensors, or other types; Unsupported if it is quantised.
    """

    def __init__(self, base: Checkpoint, edited: Checkpoint) -> None:
        edited.require_unquantised()
        self.label = edited.id
        self._base = base
        self._edited = edited
        self._names, copies = pairs(base, edited.tensors, edited.tied, self.label)
        self.shapes = {name: edited.tensors[other].shape for name, other in self._names.items()}
        _require_types(base, edited, self._names)
        for copy, like in copies:
            _require_copy(edited, copy, like)

    def differs(self, name: str) -> bool:
        """Whether the stored bytes differ: by known digests, or block by block to the first."""
        one, other = self._base.tensors[name], self._edited.tensors[self._names[name]]
        if one.start == other.start and one.file.samefile(other.file):
            return False
        digests = self._base.known_digest(name), self._edited.known_digest(self._names[name])
        if None not in digests:
            return digests[0] != digests[1]
        return not _same_bytes(one, other)

    def part(self, name: str) -> StoredArray:
        """The bits, still in their file; raises Unsupported for a type that cannot be patched."""
        return self._edited.array(self._names[name])

    def again(self) -> "EditedCheckpoint | None":
        """Both folders opened once more; None if no file was touched since."""
        both = self._base, self._edited
        if all(map(is_untouched, both)):
            return None
        return EditedCheckpoint(*(Checkpoint.open(one.path, id=one.id) for one in both))


def is_untouched(checkpoint: Checkpoint) -> bool:
    """Whether the files of a checkpoint are those that were opened, by their times."""
    return all(
        file.exists() and file_stamp(file) == stamp for file, stamp in checkpoint.stamps.items()
    )


def _same_bytes(one: TensorInfo, other: TensorInfo) -> bool:
    first, second = _bytes(one), _bytes(other)
    rows = block_rows(first.shape, BLOCK_BYTES)
    found = ordered(lambda some: np.array_equal(first[some], second[some]), rows)
    try:
        return all(found)
    finally:
        found.close()


def _bytes(info: TensorInfo) -> StoredArray:
    return StoredArray(info.file, np.dtype(np.uint8), (info.stop - info.start,), info.start)


def _require_types(base: Checkpoint, edited: Checkpoint, names: Mapping[str, str]) -> None:
    other = [
        name for name, its in names.items() if base.tensors[name].dtype != edited.tensors[its].dtype
    ]
    if not other:
        return
    name = other[0]
    types = base.tensors[name].dtype, edited.tensors[names[name]].dtype
    raise CheckpointRefused(
        f"{edited.id} is not of the type of {base.id}",
        why=f"{types[1]} in {told(other)}, where the base has {types[0]}, "
        "and an exact delta leads from a type to the same",
        hint=f"save the edited model in the base's type, as model.to({_torch(types[0])})"
        ".save_pretrained(…) does, or give the base in the edited one's",
    )


def _require_copy(edited: Checkpoint, copy: str, like: str) -> None:
    infos = edited.tensors[copy], edited.tensors[like]
    if infos[0].dtype == infos[1].dtype and edited.digest(copy) == edited.digest(like):
        return
    raise untied(edited.id, copy, like)


def untied(label: str, copy: str, like: str) -> Unsupported:
    """The error for a share of a tensor that is not any more like it."""
    return Unsupported(
        f"{copy} and {like} of {label} differ, and in the base they are one tensor",
        why="the base ties them (tie_word_embeddings in its config.json), so a patch changes both",
        hint="edit the model with its embeddings tied, or give a base that stores both",
    )


def _torch(dtype: str) -> str:
    return {"BF16": "torch.bfloat16", "F16": "torch.float16"}.get(dtype, "torch.float32")
