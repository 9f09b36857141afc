"""Which tensors have a slice for each neuron: all that transformers gives one, and no other."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pico_fixtures import write_weights
from transformers import AutoConfig, AutoModelForCausalLM
from weightpatch.patches.checkpoints.architectures import ARCHITECTURES
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.neurons import inner_size, mlp_layers
from weightpatch.patches.errors import CheckpointRefused, Unsupported

INNER = 13
SIZES = {"vocab_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "pad_token_id": 0}
OPTIONS = {
    "gpt2": {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_inner": INNER, "vocab_size": 16},
    "llama with biases": {**SIZES, "hidden_size": 8, "mlp_bias": True},
}
BY_FAMILY = {family: {**SIZES, "hidden_size": 8, "head_dim": 4} for family in ARCHITECTURES}


def saved(folder: Path, family: str) -> Checkpoint:
    options = OPTIONS.get(family) or BY_FAMILY[family]
    inner = {} if family == "gpt2" else {"intermediate_size": INNER, "num_key_value_heads": 2}
    config = AutoConfig.for_model(family.split(maxsplit=1)[0], **options, **inner)
    with torch.random.fork_rng():
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return Checkpoint.open(folder)


def handmade(folder: Path, shapes: dict[str, tuple[int, ...]], model_type: str) -> Checkpoint:
    write_weights(
        folder / "model.safetensors",
        {name: np.zeros(shape, "<f4") for name, shape in shapes.items()},
    )
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return Checkpoint.open(folder)


def gpt2(start: str = "h.0.mlp.") -> dict[str, tuple[int, ...]]:
    return {
        f"{start}c_fc.weight": (4, 6),
        f"{start}c_fc.bias": (6,),
        f"{start}c_proj.weight": (6, 4),
    }


@pytest.mark.parametrize("family", [*ARCHITECTURES, "llama with biases"])
def test_exactly_the_tensors_as_long_as_the_mlp_is_wide_are_found(tmp_path, family: str):
    checkpoint = saved(tmp_path, family)
    layers = mlp_layers(checkpoint)
    found = {name: axis for layer in layers for name, axis in layer.axes.items()}
    assert found == {
        name: info.shape.index(INNER)
        for name, info in checkpoint.tensors.items()
        if INNER in info.shape
    }
    assert [layer.number for layer in layers] == [0, 1]
    assert inner_size(checkpoint, layers) == INNER


@pytest.mark.parametrize("start", ["h.{}.mlp.", "transformer.h.{}.mlp."])
def test_the_name_of_the_decoder_may_be_left_out(tmp_path, start: str):
    shapes = {**gpt2(start.format(10)), **gpt2(start.format(9))}
    layers = mlp_layers(handmade(tmp_path, shapes, "gpt2"))
    assert [layer.number for layer in layers] == [9, 10]
    assert layers[0].axes == {
        f"{start.format(9)}c_fc.weight": 1,
        f"{start.format(9)}c_fc.bias": 0,
        f"{start.format(9)}c_proj.weight": 0,
    }


def test_one_projection_for_gate_and_up_is_refused_by_its_name(tmp_path):
    shapes = {"model.layers.0.mlp.gate_up_proj.weight": (12, 4)}
    with pytest.raises(Unsupported, match="neurons cannot be added") as refused:
        mlp_layers(handmade(tmp_path, shapes, "phi3"))
    assert "gate_up_proj.weight holds two projections" in refused.value.why


def test_an_unknown_architecture_is_refused(tmp_path):
    with pytest.raises(Unsupported, match="mamba"):
        mlp_layers(handmade(tmp_path, gpt2(), "mamba"))


@pytest.mark.parametrize("start", ["h.00.mlp.", "h.x.mlp.", "h.-1.mlp.", "model.h.0.mlp.", "h.0."])
def test_tensors_of_other_names_are_no_mlp(tmp_path, start: str):
    with pytest.raises(Unsupported, match="neurons cannot be added") as refused:
        mlp_layers(handmade(tmp_path, gpt2(start), "gpt2"))
    assert "none of the names" in refused.value.why


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"h.1.mlp.c_fc.bias": None}, "layer 1 .* not whole", id="no-bias"),
        pytest.param({"h.1.mlp.c_proj.weight": None}, "layer 1 .* not whole", id="no-weight"),
        pytest.param({"transformer.h.1.mlp.c_fc.bias": (6,)}, "layer 1 .* not whole", id="twice"),
        pytest.param({"h.1.mlp.c_fc.weight": (4, 7)}, "different sizes", id="size"),
        pytest.param({"h.1.mlp.c_fc.weight": (24,)}, r"has the shape \[24\]", id="flat-weight"),
        pytest.param({"h.1.mlp.c_fc.bias": (6, 1)}, r"has the shape \[6, 1\]", id="deep-bias"),
    ],
)
def test_a_checkpoint_whose_layers_differ_is_damaged(tmp_path, change, message: str):
    shapes = {**gpt2(), **gpt2("h.1.mlp."), **change}
    present = {name: shape for name, shape in shapes.items() if shape}
    with pytest.raises(CheckpointRefused, match=message):
        mlp_layers(handmade(tmp_path, present, "gpt2"))


def test_biases_need_not_be_there(tmp_path):
    shapes = {name: shape for name, shape in gpt2().items() if "bias" not in name}
    (layer,) = mlp_layers(handmade(tmp_path, shapes, "gpt2"))
    assert layer.axes == {"h.0.mlp.c_fc.weight": 1, "h.0.mlp.c_proj.weight": 0}
