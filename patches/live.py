"""Patch a model that is in memory, and put the very bits back."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import base_match, summation
from .errors import BaseMismatch, Unsupported
from .format.manifest import TensorRecord
from .format.patch import Patch
from .promises import unexpected
from .terms import sum_of

if TYPE_CHECKING:
    import torch

    Values = tuple[torch.nn.Parameter, torch.Tensor, torch.Tensor]

Model = TypeVar("Model", bound="torch.nn.Module")


@contextmanager
def patched(model: Model, *patches: Patch) -> Iterator[Model]:
    """Change the touched tensors of `model` for the length of a `with` block.

    The weights are those that `apply` writes, bit for bit; a model that was loaded in a wider type
    than its checkpoint has gets the same values in that type. On leaving, the very bits that were
    there come back, also if the model's type was changed meanwhile. Raises BaseMismatch,
    ConflictFound, NonFinite, TooBig, ManifestError, DigestMismatch, Unsupported; then nothing was
    changed.
    """
    terms = sum_of(patches)
    records = _records(patches)
    before: list[Values] = []
    after: list[Values] = []
    fitting: dict[str, TensorRecord] = {}
    norms: dict[str, float] = {}
    for name, found in terms.items():
        parameter = _parameter(model, name)
        bits, record = _fitting_bits(parameter, name, records[name])
        fitting[name], norms[name] = record, summation.bits_norm(bits, record.dtype)
        result = summation.patched(bits, record.dtype, [term.operation for term in found])
        _require_promised(_touching(patches, name), name, record, result)
        before.append((parameter, parameter.data, parameter.detach().clone()))
        after.append((parameter, parameter.data, _to_tensor(result, record.dtype)))
    base_match.check_norms(patches, fitting, norms)
    try:
        _write(after)
        yield model
    finally:
        _write(before)


def _write(values: "Iterable[Values]") -> None:
    """Write into each parameter; one whose type or shape was changed gets its own data back."""
    import torch

    with torch.no_grad():
        for parameter, data, tensor in values:
            if (parameter.dtype, parameter.shape) != (data.dtype, data.shape):
                parameter.data = data
            parameter.data.copy_(tensor)


def _require_promised(
    patches: Sequence[Patch], name: str, record: TensorRecord, result: NDArray[np.generic]
) -> None:
    """Raise DigestMismatch if one patch alone touches a tensor and promised another result."""
    if len(patches) != 1:
        return
    found = summation.bits_digest(result)
    for base in patches[0].manifest.bases:
        if base.tensors[name] == record and base.result[name] != found:
            raise unexpected(name, base.result[name], found)


def _touching(patches: Iterable[Patch], name: str) -> list[Patch]:
    return [patch for patch in patches if name in patch.manifest.operations]


def _records(patches: tuple[Patch, ...]) -> dict[str, list[TensorRecord]]:
    """For each tensor, the forms of it (by type) that every patch on it accepts."""
    accepted: dict[str, list[TensorRecord]] = {}
    for patch in patches:
        for name in patch.manifest.operations:
            forms = [base.tensors[name] for base in patch.manifest.bases]
            known = accepted.get(name, forms)
            accepted[name] = [form for form in forms if form in known]
            if not accepted[name]:
                raise BaseMismatch(
                    f"the patches were made for different bases: they disagree about {name}",
                    hint="use patches that were made for one base",
                )
    return accepted


def _parameter(model: "torch.nn.Module", name: str) -> "torch.nn.Parameter":
    # Checkpoints of a bare decoder leave out its name: GPT-2's has h.0… for transformer.h.0….
    inner = f"{getattr(model, 'base_model_prefix', '')}.{name}"
    parameters = dict(model.named_parameters(remove_duplicate=False))
    parameter = parameters.get(name, parameters.get(inner))
    if parameter is None:
        raise BaseMismatch(
            f"the model has no parameter {name}",
            hint="load it with AutoModelForCausalLM, without wrappers",
        )
    if parameter.is_meta:
        raise Unsupported(
            f"{name} has no weights in memory",
            why="it is on the meta device",
            hint="load the model without offloading",
        )
    return parameter


def _fitting_bits(
    parameter: "torch.Tensor", name: str, records: list[TensorRecord]
) -> tuple[NDArray[np.generic], TensorRecord]:
    """The parameter's bits in the type of the first record that they match, and that record."""
    for record in records:
        if tuple(parameter.shape) != record.shape:
            continue
        bits = _bits(parameter, record.dtype)
        if bits is not None and summation.bits_digest(bits) == record.sha256:
            return bits, record
    raise BaseMismatch(
        f"{name} of the model is not that of the base the patch was made for",
        why="its weights differ, were loaded in a narrower type, or were patched already",
        hint="load the unchanged base at the revision that `weightpatch show` names, in its own "
        "type or in float32",
    )


def _bits(parameter: "torch.Tensor", dtype: str) -> NDArray[np.generic] | None:
    """Bits in a storage type, or None unless the parameter's own type holds all its values."""
    import torch

    kind = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}.get(dtype)
    if kind is None or torch.promote_types(parameter.dtype, kind) != parameter.dtype:
        return None
    values = parameter.detach().cpu()
    stored = values.to(kind).contiguous()
    if values.dtype != kind and not torch.equal(stored.to(values.dtype), values):
        return None
    return np.asarray((stored.view(torch.uint16) if kind == torch.bfloat16 else stored).numpy())


def _to_tensor(bits: NDArray[np.generic], dtype: str) -> "torch.Tensor":
    import torch

    tensor = torch.from_numpy(bits)
    return tensor.view(torch.bfloat16) if dtype == "BF16" else tensor
