"""From one set of patches on a model to another: all touched tensors are rewritten, or none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from .. import base_match, summation
from ..errors import BaseMismatch, ConflictFound
from ..format.manifest import BaseRecord, TensorRecord
from ..format.patch import Patch
from ..operations.base import Array, Operation
from ..promises import require_promised
from ..terms import sum_of
from .layers import require_whole_layers
from .parameters import Parameters
from .tensor import LiveTensor, Written, bits_in, tensor_of


@dataclass(frozen=True, eq=False)
class Joined:
    """A patch on a model, as made for some of its bases."""

    patch: Patch
    bases: tuple[BaseRecord, ...]


@dataclass(frozen=True)
class _Step:
    """One tensor's new values, and what it gets back if a later step fails."""

    tensor: LiveTensor
    before: torch.Tensor
    after: torch.Tensor
    dtype: torch.dtype
    written: Written | None


class Change:
    """A model on which `joined` will be all patches; `moved` are those that come or go.

    `tensors` are those touched so far; the attribute holds those touched afterwards. Raises
    ConflictFound, BaseMismatch, ShapeMismatch, Unsupported.
    """

    def __init__(
        self,
        model: nn.Module,
        joined: Sequence[Joined],
        tensors: Mapping[str, LiveTensor],
        moved: Iterable[Patch],
    ) -> None:
        self._model = model
        self._joined = joined
        self._parameters = Parameters(model)
        self._operations = _operations(joined)
        names = sorted({name for patch in moved for name in patch.manifest.operations})
        require_whole_layers(model, self._parameters, self._operations)
        self._moved = [
            tensors.get(name) or LiveTensor.of(self._parameters, name) for name in names
        ]
        touched = {**tensors, **{tensor.name: tensor for tensor in self._moved}}
        _require_distinct(touched.values())
        self.tensors = {name: touched[name] for name in self._operations}

    def require_unchanged(self) -> None:
        """Raise BaseMismatch if somebody else changed a weight that will be rewritten."""
        for tensor in self._moved:
            tensor.require_unchanged(self._parameters)

    def check_norms(self, patches: Sequence[Patch]) -> None:
        """Check the size of each operation of `patches`; raises BaseMismatch, TooBig, ManifestError.
        """
        norms = {
            name: summation.bits_norm(bits, self._records[name].dtype)
            for name, bits in self._bits.items()
        }
        base_match.check_norms(patches, self._records, norms)

    def carry_out(self, *, force: bool = False) -> None:
        """Write all tensors, or none; with `force` also into one whose type was changed.

        Raises BaseMismatch, NonFinite, DigestMismatch.
        """
        done: list[_Step] = []
        try:
            for step in self._steps(force=force):
                done.append(step)
                step.tensor.put(self._model, step.after, step.dtype)
            for one in self._joined:
                if not self._names.isdisjoint(one.patch.manifest.operations):
                    one.patch.require_unchanged()
        except BaseException:
            for step in done:
                step.tensor.put(self._model, step.before, step.before.dtype)
            raise
        for step in done:
            step.tensor.written = step.written
