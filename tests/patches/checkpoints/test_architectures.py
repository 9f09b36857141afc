import pytest
from weightpatch.patches.checkpoints.architectures import ARCHITECTURES, find_architecture
from weightpatch.patches.errors import CheckpointRefused, Unsupported


@pytest.mark.parametrize(
    ("model_type", "module"),
    [
        ("llama", "model.layers.4.mlp.down_proj"),
        ("qwen2", "model.layers.4.mlp.down_proj"),
        ("qwen3", "model.layers.4.mlp.down_proj"),
        ("mistral", "model.layers.4.mlp.down_proj"),
        ("gpt2", "transformer.h.4.mlp.c_proj"),
    ],
)
def test_the_output_projection_of_a_layer_is_known_by_name(model_type, module):
    assert find_architecture({"model_type": model_type}).module(4) == module


def test_only_gpt2_stores_its_weights_transposed():
    assert [name for name, known in ARCHITECTURES.items() if known.transposed] == ["gpt2"]


def test_another_architecture_gets_told_what_to_add_and_where():
    with pytest.raises(Unsupported, match="mamba") as refused:
        find_architecture({"model_type": "mamba"})
    assert "gpt2, llama, mistral, qwen2, qwen3" in refused.value.why
    assert '"mamba": Architecture(' in refused.value.hint
    assert "patches/checkpoints/architectures.py" in refused.value.hint


@pytest.mark.parametrize("config", [{}, {"model_type": 3}, {"model_type": None}])
def test_a_config_without_a_type_is_no_checkpoint(config):
    with pytest.raises(CheckpointRefused, match="what model this is"):
        find_architecture(config)
