"""From one set of patches on a model to another: all touched tensors are rewritten, or none."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import torch
from torch import nn

from .. import base_match, summation
from ..errors import BaseMismatch, ConflictFound
from ..format.manifest import TensorRecord
from ..format.patch import Patch
from ..promises import require_promised
from ..stored_array import StoredArray
from ..terms import sum_of
from .joined import Joined
from .layers import require_whole_layers
from .parameters import Parameters
from .tensor import LiveTensor, Written, bits_in, tensor_of


class Change:
    """A model on which `joined` will be all patches; `moved` are those that come or go.

    `known` are the tensors that are touched before, the attribute `tensors` those that are
    afterwards. Raises ConflictFound, BaseMismatch, ShapeMismatch, Unsupported, and what reading the
    patches raises.
    """

    def __init__(
        self,
        model: nn.Module,
        joined: Sequence[Joined],
        moved: Iterable[Joined],
        known: Mapping[str, LiveTensor],
    ) -> None:
        self._model = model
        self._joined = joined
        terms = sum_of(one.patch for one in joined)
        self._operations = {name: [term.operation for term in terms[name]] for name in terms}
        self._parameters = Parameters(model)
        require_whole_layers(model, self._parameters, self._operations)
        names = sorted({name for one in moved for name in one.patch.manifest.operations})
        self._moved = {
            name: known.get(name) or LiveTensor.of(self._parameters, name) for name in names
        }
        touched = {**known, **self._moved}
        _require_distinct(touched.values())
        self.tensors = {name: touched[name] for name in terms}
        self._records = {
            name: tensor.fitting(self._accepted(name))
            for name, tensor in self._moved.items()
            if name in terms
        }

    def require_unchanged(self) -> None:
        """Raise BaseMismatch if somebody else changed a weight that will be rewritten."""
        for tensor in self._moved.values():
            tensor.require_unchanged(self._parameters)

    def check_norms(self, patches: Iterable[Patch]) -> None:
        """Check the size of each operation of `patches`; raises TooBig, ManifestError."""
        norms = {
            name: summation.bits_norm(
                bits_in(self._moved[name].original, record.dtype), record.dtype
            )
            for name, record in self._records.items()
        }
        base_match.check_norms(patches, self._records, norms)

    def carry_out(self) -> None:
        """Write all tensors or, on any error, none; raises NonFinite, DigestMismatch."""
        done: list[tuple[LiveTensor, torch.Tensor, Written | None]] = []
        try:
            for tensor in self._moved.values():
                before = tensor.now() if tensor.written else tensor.original
                after, written = self._result(tensor, check=True)
                done.append((tensor, before, written))
                tensor.put(self._model, after, tensor.parameter.dtype)
            self._require_unchanged_files()
        except BaseException:
            for tensor, before, _ in done:
                tensor.put(self._model, before, before.dtype)
            raise
        for tensor, _, written in done:
            tensor.written = written

    def force(self) -> list[str]:
        """Write all tensors in the types that they had, also where others were put in their place.

        No promise is checked. Gives the names of those for which the model has no place any more.
        Raises NonFinite, DigestMismatch; then some are written.
        """
        lost = []
        for name, tensor in self._moved.items():
            after, tensor.written = self._result(tensor, check=False)
            if not tensor.force(self._model, after):
                lost.append(name)
        self._require_unchanged_files()
        return lost

    def _result(self, tensor: LiveTensor, *, check: bool) -> tuple[torch.Tensor, Written | None]:
        """The values that a tensor will have, and what is to be known of them."""
        name = tensor.name
        if name not in self._records:
            return tensor.original, None
        record = self._records[name]
        bits = bits_in(tensor.original, record.dtype)
        result = summation.patched(bits, record.dtype, self._operations[name])
        found = summation.bits_digest(result)
        touching = self._touching(name)
        if check and len(touching) == 1:
            require_promised(touching[0].bases, name, record, found)
        return tensor_of(result, record.dtype), Written(record.dtype, result.shape, found)

    def _touching(self, name: str) -> list[Joined]:
        return [one for one in self._joined if name in one.patch.manifest.operations]

    def _accepted(self, name: str) -> list[TensorRecord]:
        """The forms of a tensor (by type) that every patch on it accepts."""
        forms = [[base.tensors[name] for base in one.bases] for one in self._touching(name)]
        accepted = [form for form in forms[0] if all(form in others for others in forms[1:])]
        if not accepted:
            raise BaseMismatch(
                f"the patches were made for different bases: they disagree about {name}",
                hint="use patches that were made for one base",
            )
        return accepted

    def _require_unchanged_files(self) -> None:
        """Raise DigestMismatch if a delta that was just read is not what was opened."""
        for patch in {
            id(one): one.patch for name in self._records for one in self._touching(name)
        }.values():
            operations = chain.from_iterable(patch.operations.values())
            parts = chain.from_iterable(operation.parts.values() for operation in operations)
            if any(isinstance(part, StoredArray) for part in parts):
                patch.require_unchanged()


def _require_distinct(tensors: Iterable[LiveTensor]) -> None:
    """Raise ConflictFound if two names mean one parameter, as for tied embeddings."""
    names: dict[int, str] = {}
    for tensor in tensors:
        other = names.setdefault(id(tensor.parameter), tensor.name)
        if other != tensor.name:
            raise ConflictFound(
                f"{other} and {tensor.name} are one tensor in this model",
                why="they are tied, and each would be changed from the same base",
                hint="use patches that call it by one name",
            )
