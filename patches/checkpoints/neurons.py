"""Where the neurons of each layer's MLP lie in a checkpoint: along which axis of which tensors."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import CheckpointRefused, Unsupported
from .architectures import Architecture, find_architecture
from .checkpoint import Checkpoint

_FUSED = ".mlp.gate_up_proj.weight"
_FETCH_AGAIN = "the checkpoint is damaged or incomplete; fetch it again"


@dataclass(frozen=True)
class MlpLayer:
    """The MLP of one layer.

    `axes` gives, for each stored tensor that has one slice for each neuron, the axis of these
    slices: `down_proj.weight` [hidden, inner] has them on axis 1.
    """

    number: int
    axes: Mapping[str, int]


def mlp_layers(checkpoint: Checkpoint) -> list[MlpLayer]:
    """The MLPs of a checkpoint, lowest first; all have the same number of neurons.

    Names are those of the checkpoint, with or without the name of the decoder: GPT-2's has h.0…
    for transformer.h.0…. Raises Unsupported for an architecture whose MLPs are not known,
    CheckpointRefused if a tensor is missing, or does not have the size that the others have.
    """
    _require_separate(checkpoint)
    architecture = find_architecture(checkpoint.config)
    layers = _grouped(checkpoint, architecture)
    if not layers:
        raise Unsupported(
            f"neurons cannot be added to {checkpoint.id}",
            why="the tensors of its MLPs have none of the names known here",
        )
    _require_alike(checkpoint, architecture, layers)
    return [
        MlpLayer(number, {name: architecture.inner_axes[path] for path, name in sorted(found)})
        for number, found in sorted(layers.items())
    ]


def inner_size(checkpoint: Checkpoint, layers: Sequence[MlpLayer]) -> int:
    """The number of neurons that each of these MLPs has."""
    name, axis = next(iter(layers[0].axes.items()))
    return checkpoint.tensors[name].shape[axis]


_Found = list[tuple[str, str]]
"""Tensors of a layer: the path from the layer, and the name in the checkpoint."""


def _grouped(checkpoint: Checkpoint, architecture: Architecture) -> dict[int, _Found]:
    """By number of the layer."""
    backbone, layers = re.escape(architecture.backbone), re.escape(architecture.layers)
    pattern = re.compile(rf"(?:{backbone}\.)?{layers}\.(0|[1-9][0-9]{{0,5}})\.(.+)")
    grouped: dict[int, _Found] = {}
    for name in checkpoint.tensors:
        match = pattern.fullmatch(name)
        if match and match[2] in architecture.inner_axes:
            grouped.setdefault(int(match[1]), []).append((match[2], name))
    return grouped


def _require_separate(checkpoint: Checkpoint) -> None:
    for name in checkpoint.tensors:
        if name.endswith(_FUSED):
            raise Unsupported(
                f"neurons cannot be added to {checkpoint.id}",
                why=f"{name} holds two projections one above the other, "
                "and new rows would have to go into its middle",
                hint="use a patch that changes weights in place",
            )


def _require_alike(
    checkpoint: Checkpoint, architecture: Architecture, layers: Mapping[int, _Found]
) -> None:
    """Raise CheckpointRefused unless all layers have the same tensors, each of the same size."""
    weights = {path for path in architecture.inner_axes if path.endswith(".weight")}
    expected = sorted(weights | {path for found in layers.values() for path, _ in found})
    sizes: dict[int, str] = {}
    for number, found in layers.items():
        if sorted(path for path, _ in found) != expected:
            raise CheckpointRefused(
                f"the MLP of layer {number} of {checkpoint.id} is not whole",
                why=f"it should have {', '.join(expected)}, each once",
                hint=_FETCH_AGAIN,
            )
        for path, name in found:
            sizes.setdefault(_length(checkpoint, name, architecture.inner_axes[path]), name)
    if len(sizes) > 1:
        (one, name), (other, odd) = list(sizes.items())[:2]
        raise CheckpointRefused(
            f"the MLPs of {checkpoint.id} have different sizes",
            why=f"{one} in {name}, {other} in {odd}",
            hint=_FETCH_AGAIN,
        )


def _length(checkpoint: Checkpoint, name: str, axis: int) -> int:
    shape = checkpoint.tensors[name].shape
    if len(shape) != (2 if name.endswith(".weight") else 1):
        raise CheckpointRefused(
            f"{name} of {checkpoint.id} has the shape {list(shape)}",
            why="a weight has two axes and a bias has one",
            hint=_FETCH_AGAIN,
        )
    return shape[axis]
