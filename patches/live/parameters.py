"""Which parameter of a live model a tensor's name means, and whether it can be patched."""

from weakref import WeakSet

import torch
from torch import nn

from ..errors import BaseMismatch, Unsupported

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""The torch type of each storage type."""

_PATCHABLE = {*TYPES.values(), torch.float64}


class Parameters:
    """The parameters of a model by the names that its checkpoint has for them."""

    def __init__(self, model: nn.Module) -> None:
        self._named = dict(model.named_parameters(remove_duplicate=False))
        self._prefix = getattr(model, "base_model_prefix", "")
        self.modules = dict(model.named_modules(remove_duplicate=False))
        self.known = WeakSet(self.modules.values())

    def __contains__(self, name: str) -> bool:
        return self._path(name) in self._named

    def names(self, parameter: nn.Parameter) -> list[str]:
        """All paths at which `parameter` stands, several if it is tied."""
        return [path for path, found in self._named.items() if found is parameter]

    def find(self, name: str) -> nn.Parameter:
        """The parameter of that name.

        Raises BaseMismatch if there is none, Unsupported if it is not one plain tensor of numbers
        in memory.
        """
        path = self._path(name)
        if path not in self._named:
            raise BaseMismatch(
                f"the model has no parameter {name}",
                hint="load it with AutoModelForCausalLM, without wrappers",
            )
        parameter = self._named[path]
        _require_plain(name, parameter)
        return parameter

    def _path(self, name: str) -> str:
        # Checkpoints of a bare decoder leave out its name: GPT-2's has h.0… for transformer.h.0….
        return name if name in self._named else f"{self._prefix}.{name}"


def is_plain(parameter: nn.Parameter) -> bool:
    """Whether it is one whole tensor in memory, of numbers of any type."""
    return (
        type(parameter) is nn.Parameter
        and parameter.layout is torch.strided
        and not parameter.is_meta
    )


def _require_plain(name: str, parameter: nn.Parameter) -> None:
    if parameter.is_meta:
        raise Unsupported(
            f"{name} has no weights in memory",
            why="it is on the meta device",
            hint="load the model without offloading",
        )
    # Sharded and quantised weights are classes of their own, or integers.
    if not is_plain(parameter):
        kind = type(parameter)
        raise Unsupported(
            f"{name} is not one whole tensor",
            why=f"it is a {kind.__module__}.{kind.__qualname__}, as sharded or quantised weights "
            "are",
            hint="load the model unquantised, each tensor whole on one device",
        )
    if parameter.dtype not in _PATCHABLE:
        raise Unsupported(
            f"{name} is {parameter.dtype} and cannot be patched",
            why="quantised and integer weights have no exact sum with a delta",
            hint="load the model unquantised",
        )
