"""Patch a model that is in memory, and put the very bits back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import arithmetic
from .errors import BaseMismatch, Unsupported
from .manifest import TensorRecord
from .patch import Patch

if TYPE_CHECKING:
    import torch

Model = TypeVar("Model", bound="torch.nn.Module")


@contextmanager
def patched(model: Model, *patches: Patch) -> Iterator[Model]:
    """Change the touched tensors of `model` for the length of a `with` block.

    The weights are those that `apply` writes, bit for bit; a model that was loaded in a wider type
    than its checkpoint has gets the same values in that type. On leaving, the very bits that were
    there come back. Raises BaseMismatch, ConflictFound, NonFinite, Unsupported; then nothing was
    changed.
    """
    import torch

    terms = arithmetic.sum_of(patches)
    records = _records(patches)
    before: dict[str, torch.Tensor] = {}
    after: dict[str, torch.Tensor] = {}
    for name, found in terms.items():
        parameter = _parameter(model, name)
        bits, dtype = _fitting_bits(parameter, name, records[name])
        result = arithmetic.patched(bits, dtype, [term.operation for term in found])
        before[name] = parameter.detach().clone()
        after[name] = _to_tensor(result, dtype).to(parameter.dtype)
    try:
        _write(model, after)
        yield model
    finally:
        _write(model, before)


def _write(model: "torch.nn.Module", tensors: "Mapping[str, torch.Tensor]") -> None:
    import torch

    with torch.no_grad():
        for name, tensor in tensors.items():
            model.get_parameter(name).copy_(tensor)


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
    try:
        parameter = model.get_parameter(name)
    except AttributeError:
        raise BaseMismatch(
            f"the model has no parameter {name}",
            hint="load it with AutoModelForCausalLM, without wrappers",
        ) from None
    if parameter.is_meta:
        raise Unsupported(
            f"{name} has no weights in memory",
            why="it is on the meta device",
            hint="load the model without offloading",
        )
    return parameter


def _fitting_bits(
    parameter: "torch.Tensor", name: str, records: list[TensorRecord]
) -> tuple[NDArray[np.generic], str]:
    """The parameter's bits in the type of the first record that they match."""
    for record in records:
        if tuple(parameter.shape) != record.shape:
            continue
        bits = _bits(parameter, record.dtype)
        if bits is not None and arithmetic.bits_digest(bits) == record.sha256:
            return bits, record.dtype
    raise BaseMismatch(
        f"{name} of the model is not that of the base the patch was made for",
        why="its weights differ, or it was patched already",
        hint="load the unchanged base at the revision that `weightpatch show` names",
    )


def _bits(parameter: "torch.Tensor", dtype: str) -> NDArray[np.generic] | None:
    """Bits in a storage type, or None if the parameter's values do not all fit it."""
    import torch

    kind = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}.get(dtype)
    if kind is None:
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
