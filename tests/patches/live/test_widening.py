"""Neurons added to one layer in memory: it runs, and becomes again what it was."""

from pathlib import Path

import pytest
import torch
from live_models import bits, model_of
from neuron_fixtures import FAMILIES, INNER, neurons
from torch import nn
from transformers import AutoModelForCausalLM
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import CheckpointRefused, ShapeMismatch, Unsupported
from weightpatch.patches.live import attach, load, patched
from weightpatch.patches.live.layers import require_whole_layers
from weightpatch.patches.live.parameters import Parameters

IDS = torch.tensor([[1, 2, 3, 4]])
LAYER = 1


@pytest.fixture(params=sorted(FAMILIES))
def base(request, tmp_path) -> Checkpoint:
    return FAMILIES[request.param](tmp_path / "base")


@pytest.fixture
def model(base: Checkpoint) -> nn.Module:
    return load(base)


@torch.no_grad()
def logits(model: nn.Module) -> torch.Tensor:
    return model(IDS).logits


def places(model: nn.Module) -> list:
    return [
        (name, id(parameter), parameter.data_ptr(), tuple(parameter.shape))
        for name, parameter in model.named_parameters()
    ]


def sizes(model: nn.Module) -> set[int]:
    """How many neurons the maps of the layer say that they have."""
    if model.config.model_type == "llama":
        mlp = model.model.layers[LAYER].mlp
        return {mlp.gate_proj.out_features, mlp.up_proj.out_features, mlp.down_proj.in_features}
    mlp = model.transformer.h[LAYER].mlp
    return {mlp.c_fc.nf, mlp.c_proj.nx}


def test_one_layer_grows_and_shrinks_again(pico, base, model):
    before, values, answer, (size,) = places(model), bits(model), logits(model), sizes(model)
    attachment = attach(model, pico.patch(base, operations=neurons(base, LAYER, 3)))
    assert sizes(model) == {size + 3}
    assert not torch.equal(logits(model), answer)
    attachment.detach()
    assert sizes(model) == {size}
    assert places(model) == before
    assert bits(model) == values
    assert torch.equal(logits(model), answer)


def test_the_answers_are_those_of_the_build(pico, base, model):
    patches = [
        pico.patch(base, f"acme/p{count}", operations=neurons(base, LAYER, count, seed=count))
        for count in (1, 2)
    ]
    built = AutoModelForCausalLM.from_pretrained(pico.built(base, patches), dtype="auto")
    with patched(model, *patches):
        torch.testing.assert_close(logits(model), logits(built), rtol=1e-4, atol=1e-4)


def test_weights_are_changed_and_widened_in_any_order(pico, base, model):
    added = neurons(base, LAYER, 2)
    name = max(added)
    change = pico.patch(
        base, "acme/change", operations={name: [pico.lowrank(base.tensors[name].shape)]}
    )
    wide = pico.patch(base, "acme/wide", operations=added)
    values = bits(model)
    first = attach(model, change)
    changed = bits(model)
    second = attach(model, wide)
    both = bits(model)
    first.detach()
    assert bits(model) != both
    first = attach(model, change)
    assert bits(model) == both
    second.detach()
    assert bits(model) == changed
    first.detach()
    assert bits(model) == values


def test_gradients_fit_and_the_old_ones_come_back(pico, base, model):
    model(IDS).logits.sum().backward()
    added = neurons(base, LAYER, 3)
    parameter = Parameters(model).find(min(added))
    before = parameter.grad.clone()
    with patched(model, pico.patch(base, operations=added)):
        assert parameter.grad is None
        model(IDS).logits.sum().backward()
        assert parameter.grad.shape == parameter.shape
    assert torch.equal(parameter.grad, before)
    model(IDS).logits.sum().backward()


def test_a_widened_model_can_change_its_type_and_come_back(pico, base, model):
    values = bits(model)
    attachment = attach(model, pico.patch(base, operations=neurons(base, LAYER, 3)))
    model.double()
    logits(model)
    attachment.detach()
    logits(model)
    assert bits(model.float()) == values


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("count", [0, 1])
def test_a_layer_that_would_not_be_whole_is_refused(base, model, place: int, count: int):
    operations = neurons(base, LAYER, 2)
    name = sorted(operations)[place]
    operations[name] = neurons(base, LAYER, 1)[name] * count
    with pytest.raises(ShapeMismatch, match="would not fit"):
        require_whole_layers(model, Parameters(model), operations)


@pytest.mark.parametrize("name", ["model.norm.weight", "model.layers.1.mlp.up_proj.weight"])
def test_tensors_without_neurons_along_that_axis_are_refused(tmp_path: Path, name: str):
    base = FAMILIES["llama"](tmp_path / "base")
    model = load(base)
    columns = neurons(base, LAYER, 2)["model.layers.1.mlp.down_proj.weight"]
    assert columns[0].axis == 1
    with pytest.raises(ShapeMismatch, match="cannot be widened"):
        require_whole_layers(model, Parameters(model), {name: columns})


def test_a_model_whose_mlps_are_not_known_is_refused(pico, tmp_path: Path):
    base = FAMILIES["llama"](tmp_path / "base")
    assert base.tensors["model.layers.1.mlp.up_proj.weight"].shape[0] == INNER
    patch = pico.patch(base, operations=neurons(base, LAYER, 2))
    with pytest.raises(Unsupported, match="without a configuration"):
        attach(model_of(base), patch)


def test_what_is_saved_while_neurons_are_added_cannot_be_loaded_as_the_page_says(
    pico, base, model, tmp_path: Path
):
    with patched(model, pico.patch(base, operations=neurons(base, LAYER, 2))):
        model.save_pretrained(tmp_path / "saved")
    with pytest.raises(CheckpointRefused):
        load(tmp_path / "saved")
