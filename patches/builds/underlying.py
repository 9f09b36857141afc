"""The base that lies under a build: its tensors as they were before any patch."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..arithmetic import dtypes
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_files import TensorInfo
from ..errors import BaseMismatch, CheckpointRefused
from ..operations.base import Array
from ..operations.replace import Replace
from ..operations.widen import Widen
from ..stored_array import StoredArray, blocks, raw_bytes
from ..summation import BLOCK_ELEMENTS
from .record import CONFIG, RECORD, BuildRecord, form, read_record
from .undo import read_undo


class Underlying(Checkpoint):
    """A view of a build as the base that it was made from.

    Tensors that no patch touched are read from the build; the others from `base` if it is given,
    else they are restored from the build where its operations allow that to the bit.
    """

    def __init__(self, build: Checkpoint, base: Checkpoint | None = None) -> None:
        """Raises CheckpointRefused, ManifestError, and BaseMismatch if `base` is another one."""
        self.record = read_record(build.path)
        self._build = find_tensors(self.record, build)
        self._base = base
        if base is not None:
            require_base_of(self.record, base)
        shapes = {name: tensor.shape for name, tensor in self.record.tensors.items()}
        super().__init__(
            build.path,
            {
                name: replace(info, shape=shapes.get(name, info.shape))
                for name, info in build.tensors.items()
            },
            build.stamps,
            _config(self.record, build),
            id=self.record.base_id,
            revision=self.record.base_revision,
            cache=None,
        )

    def array(self, name: str) -> StoredArray:
        """The base's bits of a tensor; raises BaseMismatch if they are nowhere to be had."""
        if name not in self.record.tensors:
            return super().array(name)
        if self._base is not None:
            return self._base.array(name)
        if not self.is_restorable(name):
            raise BaseMismatch(
                f"{name} cannot be restored from the build alone",
                why="an operation changed every entry, and rounding lost what was there, or the "
                "old values of listed entries are not kept here",
                hint="give the unchanged base: to `apply` as --original, to `revert` as --base",
            )
        info = self._build[name]
        built = StoredArray(info.file, dtypes.storage(info.dtype), info.shape, info.start)
        shape = self.record.tensors[name].shape
        return RestoredArray(
            built.path, built.dtype, shape, built.start, built, self.undo.get(name), info.dtype
        )

    def is_restorable(self, name: str) -> bool:
        """Whether the build alone holds the base's bits of a tensor."""
        kinds = {operation.kind for operation in self.record.operations.get(name, ())}
        return name in self.undo or kinds <= {Widen.kind}

    @cached_property
    def undo(self) -> Mapping[str, Replace]:
        """What undoes its tensors, as far as the build holds it."""
        return read_undo(self.path, self.record)

    def require_unchanged(self, names: Iterable[str]) -> None:
        """Raise DigestMismatch if a tensor is not any more what it was when it was hashed."""
        for name in names:
            if self._base is not None and name in self.record.tensors:
                self._base.require_unchanged([name])
            else:
                super().require_unchanged([name])

    def _is_share(self, name: str, shared: str) -> bool:
        known = self.record.tensors
        if name in self.tensors and (name in known or shared in known):
            return known.get(name) == known.get(shared)
        return super()._is_share(name, shared)

    def _hash(self, name: str) -> str:
        if name not in self.record.tensors:
            return super()._hash(name)
        if self._base is not None:
            return self._base.digest(name)
        digest = hashlib.sha256()
        for block in blocks(self.array(name), BLOCK_ELEMENTS):
            digest.update(raw_bytes(block))
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class RestoredArray(StoredArray):
    """A tensor of a build as it was: cut to the base's `shape`, old values put back."""

    built: StoredArray
    undo: Replace | None
    stored_as: str

    def __getitem__(self, rows: slice) -> Array:
        """Read rows of the base's tensor; raises SizeMismatch."""
        first, stop, _ = rows.indices(self.shape[0])
        bits = self.built[first:stop]
        cut = np.ascontiguousarray(bits[:, : self.shape[1]] if bits.ndim > 1 else bits)
        if self.undo and len(cut):
            self.undo.overwrite(cut.reshape(len(cut), -1), self.stored_as, first)
        return cut


def find_tensors(record: BuildRecord, build: Checkpoint) -> dict[str, TensorInfo]:
    """Where the changed tensors of a build lie; raises CheckpointRefused if one is not there."""
    for name, expected in record.result.items():
        if name not in build.tensors or form(build.tensors[name]) != form(expected):
            raise CheckpointRefused(
                f"{name} in {build.path} is missing, or of another shape or type than in {RECORD}",
                hint="the build was changed after it was made; make it again",
            )
    return {name: build.tensors[name] for name in record.tensors}


def require_base_of(record: BuildRecord, checkpoint: Checkpoint) -> None:
    """Raise BaseMismatch unless the checkpoint is the base that the build was made from."""
    for name, expected in record.tensors.items():
        if name not in checkpoint.tensors or checkpoint.digest(name) != expected.sha256:
            raise BaseMismatch(
                f"{checkpoint.id} is not the base of this build",
                why=f"{name} has other bytes than in {record.base_id}",
                hint="give the unchanged base with --base",
            )


def _config(record: BuildRecord, build: Checkpoint) -> Mapping[str, object]:
    if CONFIG not in record.originals:
        return build.config
    try:
        config = json.loads(record.originals[CONFIG])
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise CheckpointRefused(f"the original {CONFIG} in {RECORD} is not a JSON object")
    return config
