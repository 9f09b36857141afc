"""Which layers to edit when nobody says: where measurements put them, or as deep in proportion."""

from collections.abc import Mapping

from ...checkpoints.models import EditableModel

_Size = tuple[str, int, int]

MEASURED: Mapping[_Size, int] = {
    ("llama", 30, 576): 3,
    ("llama", 32, 4096): 5,
    ("qwen2", 28, 3584): 5,
    ("gpt2", 24, 1024): 8,
    ("gpt2", 48, 1600): 17,
}
"""By model_type, number of layers and hidden size: SmolLM2-135M by `weightpatch sweep rome`;
Llama-2-7B and Llama-3-8B, Qwen2.5-7B, gpt2-medium and gpt2-xl as Meng et al. 2022 and EasyEdit use.
"""

MEASURED_RANGES: Mapping[_Size, tuple[int, int]] = {
    ("llama", 30, 576): (3, 5),
    ("llama", 32, 4096): (4, 8),
    ("qwen2", 28, 3584): (4, 8),
    ("gpt2", 48, 1600): (13, 17),
}
"""First and last of several layers: SmolLM2-135M as measured, gpt2-xl as Meng et al. 2023,
Llama-2-7B, Llama-3-8B and Qwen2.5-7B as EasyEdit use."""

_DEPTH = {"gpt2": 0.35}
_DEPTH_OF_OTHERS = 0.15
_LAST_DEPTH_OF_OTHERS = 0.25
_SEVERAL = 5


def default_layer(model: EditableModel) -> int:
    """The layer that is edited unless another is asked for."""
    known = MEASURED.get(_size(model))
    return _at_depth(model, _DEPTH_OF_OTHERS) if known is None else known


def default_layers(model: EditableModel) -> tuple[int, ...]:
    """The layers that an edit is spread over unless others are asked for."""
    known = MEASURED_RANGES.get(_size(model))
    last = _at_depth(model, _LAST_DEPTH_OF_OTHERS)
    first, last = known or (max(0, last - _SEVERAL + 1), last)
    return tuple(range(first, last + 1))


def _size(model: EditableModel) -> _Size:
    config = model.model.config
    return config.model_type, model.layer_count, config.hidden_size


def _at_depth(model: EditableModel, depth: float) -> int:
    depth = _DEPTH.get(model.model.config.model_type, depth)
    return max(0, min(model.layer_count - 2, round(depth * model.layer_count)))
