"""Where each transformers architecture keeps the parts that an edit touches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CheckpointRefused, Unsupported


@dataclass(frozen=True)
class Architecture:
    """Module names of a decoder whose MLP adds its output to the residual stream unchanged.

    `backbone` is the path from the causal model to the decoder; `layers` the name of its list of
    layers, `norm` of its last norm; `mlp_output` the path from a layer to the linear map that
    writes the MLP's output. `transposed` says that its weight is stored [in, out], as GPT-2's
    Conv1D does. `inner_axes` names the tensors of a layer that hold one slice for each neuron of
    the MLP, and the axis of these slices; biases need not be there. `inner_size` is the key of
    config.json for the number of neurons.
    """

    backbone: str
    layers: str
    norm: str
    mlp_output: str
    transposed: bool = False
    inner_axes: Mapping[str, int] = field(default_factory=dict, hash=False)
    inner_size: str = "intermediate_size"

    def module(self, layer: int) -> str:
        """Path of the MLP's output projection in `layer`, as in model.layers.4.mlp.down_proj."""
        return f"{self.backbone}.{self.layers}.{layer}.{self.mlp_output}"


_LLAMA = Architecture(
    backbone="model",
    layers="layers",
    norm="norm",
    mlp_output="mlp.down_proj",
    inner_axes={
        "mlp.gate_proj.weight": 0,
        "mlp.gate_proj.bias": 0,
        "mlp.up_proj.weight": 0,
        "mlp.up_proj.bias": 0,
        "mlp.down_proj.weight": 1,
    },
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "gpt2": Architecture(
        backbone="transformer",
        layers="h",
        norm="ln_f",
        mlp_output="mlp.c_proj",
        transposed=True,
        inner_axes={"mlp.c_fc.weight": 1, "mlp.c_fc.bias": 0, "mlp.c_proj.weight": 0},
        inner_size="n_inner",
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
}
"""By `model_type` of config.json. To add one: its MLP must add to the residual stream unchanged."""


def find_architecture(config: Mapping[str, Any]) -> Architecture:
    """The architecture that a config.json names; raises CheckpointRefused or Unsupported."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise CheckpointRefused(
            "config.json does not say what model this is",
            why="it has no model_type",
            hint="give the folder that save_pretrained wrote",
        )
    try:
        return ARCHITECTURES[model_type]
    except KeyError:
        raise Unsupported(
            f"models of type {model_type[:80]!r} cannot be edited yet",
            why=f"known: {', '.join(sorted(ARCHITECTURES))}",
            hint="if its layers are built as in Llama, add a line to ARCHITECTURES in "
            "patches/checkpoints/architectures.py: "
            f'"{model_type[:80]}": Architecture(backbone=…, layers=…, '
            "norm=…, mlp_output=…, inner_axes=…), with the module names that print(model) shows",
        ) from None
