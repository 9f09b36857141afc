"""Which layer to edit when nobody says: where measurements put it, or as deep in proportion."""

from collections.abc import Mapping

from ...checkpoints.models import EditableModel

MEASURED: Mapping[tuple[str, int, int], int] = {
    ("llama", 30, 576): 3,
    ("llama", 32, 4096): 5,
    ("qwen2", 28, 3584): 5,
    ("gpt2", 24, 1024): 8,
    ("gpt2", 48, 1600): 17,
}
"""By model_type, number of layers and hidden size: SmolLM2-135M by `weightpatch sweep rome`;
Llama-2-7B and Llama-3-8B, Qwen2.5-7B, gpt2-medium and gpt2-xl as Meng et al. 2022 and EasyEdit use.
"""

_DEPTH = {"gpt2": 0.35}
_DEPTH_OF_OTHERS = 0.15


def default_layer(model: EditableModel) -> int:
    """The layer that is edited unless another is asked for."""
    config = model.model.config
    known = MEASURED.get((config.model_type, model.layer_count, config.hidden_size))
    if known is not None:
        return known
    depth = _DEPTH.get(config.model_type, _DEPTH_OF_OTHERS)
    return max(0, min(model.layer_count - 2, round(depth * model.layer_count)))
