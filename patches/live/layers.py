"""Neurons added to an MLP in memory: all tensors of the layer grow by the same, or none does."""

from collections.abc import Mapping, Sequence

from torch import nn

from ..checkpoints.architectures import find_architecture
from ..errors import ShapeMismatch, Unsupported
from ..operations.base import Operation, Widening
from .parameters import Parameters


def require_whole_layers(
    model: nn.Module, parameters: Parameters, operations: Mapping[str, Sequence[Operation]]
) -> None:
    """Check the `widen` operations among all that will be attached, by tensor.

    In memory only the layers concerned grow. Raises ShapeMismatch if a layer's tensors would not
    fit each other any more, Unsupported for a model whose MLPs are not known.
    """
    added = {
        name: [operation for operation in found if isinstance(operation, Widening)]
        for name, found in operations.items()
    }
    widened = {name: found for name, found in added.items() if found}
    if not widened:
        return
    axes = _inner_axes(model)
    for name, found in widened.items():
        path = next((path for path in axes if name.endswith(f".{path}")), None)
        if path is None or any(operation.axis != axes[path] for operation in found):
            raise ShapeMismatch(
                f"{name} cannot be widened so",
                why="an MLP has no neurons along that axis of it",
            )
        layer = name.removesuffix(path)
        for other in axes:
            sizes = [operation.size for operation in added.get(f"{layer}{other}", [])]
            if f"{layer}{other}" in parameters and sizes != [one.size for one in found]:
                raise ShapeMismatch(
                    f"{layer}{other} would not fit {name}",
                    why="a patch that adds neurons must widen all tensors of the MLP by as many",
                )


def _inner_axes(model: nn.Module) -> Mapping[str, int]:
    """For each tensor of an MLP, named from its layer, the axis along which its neurons lie."""
    config = getattr(model, "config", None)
    if config is None:
        raise Unsupported("neurons cannot be added to a model without a configuration")
    return find_architecture(config.to_dict()).inner_axes
