"""A parameter that patches touch: the bits it had, those it has, and how others are written."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from .. import summation
from ..errors import BaseMismatch
from ..format.manifest import TensorRecord
from ..operations.base import Array
from .parameters import TYPES, Parameters
from .places import Places


@dataclass(frozen=True)
class Written:
    """What patches made of a tensor, in the type in which it was summed."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str


@dataclass(eq=False)
class LiveTensor:
    """One parameter, with all that is needed to give it its bits back.

    `original` is a copy of these bits on the CPU, `home` the storage in which they were; `written`
    says what stands there now if patches wrote it.
    """

    name: str
    places: Places
    parameter: nn.Parameter
    home: torch.Tensor
    original: torch.Tensor
    written: Written | None = None
    _gradient: torch.Tensor | None = field(default=None, init=False)

    @classmethod
    def of(cls, parameters: Parameters, name: str) -> "LiveTensor":
        """The parameter `name`, not yet patched; raises BaseMismatch, Unsupported."""
        parameter = parameters.find(name)
        data = parameter.detach()
        original = data.to("cpu", copy=True, memory_format=torch.contiguous_format)
        places = Places.of(parameters, parameter)
        return cls(name, places, parameter, parameter.data, original)

    def fitting(self, records: Iterable[TensorRecord]) -> TensorRecord:
        """The one of `records` that the original bits are.

        The parameter's own type goes before narrower ones. Raises BaseMismatch.
        """
        own = self.original.dtype
        for record in sorted(records, key=lambda one: (TYPES.get(one.dtype) != own, one.dtype)):
            if tuple(self.original.shape) == record.shape:
                bits = exact_bits(self.original, record.dtype)
                if bits is not None and summation.bits_digest(bits) == record.sha256:
                    return record
        raise BaseMismatch(
            f"{self.name} of the model is not that of the base the patch was made for",
            why="its weights differ, were loaded in a narrower type, or were patched already",
            hint="load the unchanged base at the revision that `weightpatch show` names, in its "
            "own type or in float32",
        )

    def require_unchanged(self, parameters: Parameters) -> None:
        """Raise BaseMismatch unless the parameter holds what patches wrote into it.

        It may have been moved to another device or to a type that holds the same values.
        """
        written = self.written
        if written is None:
            return
        parameter = parameters.find(self.name)
        stands = parameter is self.parameter and self.places.stand(parameters)
        if stands and tuple(parameter.shape) == written.shape:
            bits = exact_bits(parameter, written.dtype)
            if bits is not None and summation.bits_digest(bits) == written.sha256:
                return
        raise BaseMismatch(
            f"{self.name} of the model was changed while a patch was attached to it",
            why="a step of training, a narrower type or another parameter in its place would be "
            "lost if the patch's bits were replaced",
            hint="undo the change first, or give it up with detach(force=True)",
        )

    def now(self) -> torch.Tensor:
        """A copy of the parameter's present values, on the CPU."""
        return self.parameter.detach().to("cpu", copy=True)

    def put(self, model: nn.Module, values: torch.Tensor, dtype: torch.dtype) -> None:
        """Write `values` into the parameter, which becomes a `dtype` of their shape."""
        with torch.inference_mode(mode=False), torch.no_grad():
            parameter = self.parameter
            if (parameter.dtype, parameter.shape) != (dtype, values.shape):
                self._remake(model, values.shape, dtype)
            # Through the parameter itself, so that a graph which needs the old bits notices.
            target = parameter.data if parameter.is_inference() else parameter
            target.copy_(values)

    def force(self, model: nn.Module, values: torch.Tensor) -> bool:
        """Write `values`, in the type of the original bits, also into what replaced the parameter.

        Gives False if the model has no place for them any more.
        """
        self.put(model, values, self.original.dtype)
        return self.places.fill(model)

    def _remake(self, model: nn.Module, shape: torch.Size, dtype: torch.dtype) -> None:
        """Give the parameter another storage; its own one, if shape and type are that one's."""
        parameter, home = self.parameter, self.home
        data = home
        if (home.shape, home.dtype, home.device) != (shape, dtype, parameter.device):
            data = torch.empty(shape, dtype=dtype, device=parameter.device)
        gradient, parameter.grad = parameter.grad, None
        if parameter.shape == home.shape:
            self._gradient = gradient
        parameter.data = data
        if shape == home.shape and self._gradient is not None:
            parameter.grad = self._gradient.to(data)
            self._gradient = None
        self.places.resize(model)


def exact_bits(tensor: torch.Tensor, dtype: str) -> Array | None:
    """Bits in a storage type, or None unless the tensor's own type holds all its values."""
    kind = TYPES.get(dtype)
    if kind is None or torch.promote_types(tensor.dtype, kind) != tensor.dtype:
        return None
    values = tensor.detach().cpu()
    stored = values.to(kind)
    if values.dtype != kind and not torch.equal(stored.to(values.dtype), values):
        return None
    return _bits(stored)


def bits_in(tensor: torch.Tensor, dtype: str) -> Array:
    """Bits in a storage type that is known to hold the tensor's values."""
    return _bits(tensor.to(TYPES[dtype]))


def _bits(stored: torch.Tensor) -> Array:
    whole = stored.contiguous()
    return np.asarray(
        (whole.view(torch.uint16) if whole.dtype == torch.bfloat16 else whole).numpy()
    )


def tensor_of(bits: Array, dtype: str) -> torch.Tensor:
    """A tensor that shares the memory of stored bits."""
    tensor = torch.from_numpy(bits)
    return tensor.view(torch.bfloat16) if dtype == "BF16" else tensor
