"""Other parameters put in the places of patched ones: the original bits come back all the same."""

import pytest
import torch
from live_models import bits, model_of, put_parameter
from neuron_fixtures import llama, neurons
from torch import nn
from torch.nn.utils import parametrizations
from weightpatch.patches.errors import BaseMismatch
from weightpatch.patches.live import attach, attachments, detach_all, load, patched

IDS = torch.tensor([[1, 2, 3, 4]])
LAYER = 1
DOWN = f"model.layers.{LAYER}.mlp.down_proj.weight"
EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"


@pytest.fixture
def base(tmp_path):
    return llama(tmp_path / "base")


@pytest.fixture
def model(base) -> nn.Module:
    return load(base)


@pytest.fixture
def patch(pico, base):
    operations = {name: [pico.lowrank(base.tensors[name].shape)] for name in (DOWN, EMBEDDING)}
    return pico.patch(base, operations=operations)


@pytest.fixture
def widening(pico, base):
    return pico.patch(base, "acme/wide", operations=neurons(base, LAYER, 3))


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(model: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    now = model.state_dict()
    return now.keys() == before.keys() and all(
        now[name].dtype == tensor.dtype and torch.equal(now[name], tensor)
        for name, tensor in before.items()
    )


def copy_of(model: nn.Module, name: str) -> nn.Parameter:
    return nn.Parameter(model.get_parameter(name).detach().clone())


def test_a_parameter_that_replaced_a_patched_one_gets_the_original_bits(model, patch):
    before = state(model)
    with patched(model, patch):
        new = put_parameter(model, DOWN, copy_of(model, DOWN))
    assert same(model, before)
    assert model.get_parameter(DOWN) is new


def test_a_state_dict_that_was_assigned_is_given_up_under_all_tied_names(model, patch):
    before = state(model)
    with patched(model, patch):
        model.load_state_dict(state(model), assign=True)
        assert not same(model, before)
    assert model.lm_head.weight is not model.get_parameter(EMBEDDING)
    assert same(model, before)


def test_attachments_refuse_until_they_are_forced(model, patch):
    before = state(model)
    attachment = attach(model, patch)
    put_parameter(model, DOWN, copy_of(model, DOWN))
    with pytest.raises(BaseMismatch, match="was changed while"):
        attachment.detach()
    attachment.detach(force=True)
    assert same(model, before)
    attach(model, patch).detach()
    assert same(model, before)


def test_one_of_two_can_be_forced_off_and_then_the_other(pico, base, model, patch):
    other = pico.patch(base, "acme/two", operations={DOWN: [pico.lowrank((8, 12), seed=2)]})
    before = state(model)
    first = attach(model, patch)
    alone = state(model)
    second = attach(model, other)
    put_parameter(model, DOWN, copy_of(model, DOWN))
    second.detach(force=True)
    assert same(model, alone)
    with pytest.raises(BaseMismatch, match="was changed while"):
        first.detach()
    first.detach(force=True)
    assert same(model, before)


def test_a_tied_name_alone_that_got_another_parameter_is_noticed(model, patch):
    before = state(model)
    attachment = attach(model, patch)
    put_parameter(model, HEAD, copy_of(model, HEAD))
    with pytest.raises(BaseMismatch, match="was changed while"):
        attachment.detach()
    attachment.detach(force=True)
    assert same(model, before)


@pytest.mark.parametrize("kind", ["same", "larger", "narrower", "integers", "meta"])
def test_whatever_stands_there_now(model, patch, kind: str):
    new = {
        "same": torch.ones(8, 12),
        "larger": torch.ones(9, 20),
        "narrower": torch.ones(8, 12, dtype=torch.float16),
        "integers": torch.ones(4, 1, dtype=torch.int8),
        "meta": torch.ones(8, 12, device="meta"),
    }[kind]
    before = state(model)
    with patched(model, patch):
        put_parameter(model, DOWN, nn.Parameter(new, requires_grad=False))
    assert same(model, before)


def test_a_model_that_was_moved_to_the_meta_device_gets_its_touched_weights_back(model, patch):
    before = state(model)
    with patched(model, patch):
        model.to("meta")
    assert torch.equal(model.get_parameter(DOWN), before[DOWN])


def test_gradients_of_another_shape_go(model, patch):
    with patched(model, patch):
        new = put_parameter(model, DOWN, nn.Parameter(torch.ones(9, 20)))
        new.sum().backward()
    assert new.grad is None
    model(IDS).logits.sum().backward()
    assert new.grad.shape == (8, 12)


class TestWidened:
    """All tensors of a layer are larger within the block."""

    @pytest.fixture(autouse=True)
    def answers(self, model):
        before = state(model)
        with torch.no_grad():
            logits = model(IDS).logits
        yield
        assert same(model, before)
        with torch.no_grad():
            assert torch.equal(model(IDS).logits, logits)

    def test_assigned(self, model, widening):
        with patched(model, widening):
            model.load_state_dict(state(model), assign=True)

    def test_another_module(self, model, widening):
        mlp = model.model.layers[LAYER].mlp
        with patched(model, widening):
            mlp.down_proj = nn.Linear(15, 8, bias=False)
        assert mlp.down_proj.in_features == 12

    def test_another_module_of_the_first_size(self, model, widening):
        mlp = model.model.layers[LAYER].mlp
        with patched(model, widening):
            mlp.down_proj = nn.Linear(12, 8, bias=False)

    def test_a_parameter_of_its_own_size(self, model, widening):
        attachment = attach(model, widening)
        put_parameter(model, DOWN, copy_of(model, DOWN))
        with pytest.raises(BaseMismatch):
            attachment.detach()
        attachment.detach(force=True)


def test_a_weight_that_was_tied_to_a_patched_one_keeps_its_bits(model, patch):
    elsewhere = "model.layers.0.mlp.down_proj.weight"
    before = state(model)
    with patched(model, patch):
        put_parameter(model, DOWN, model.get_parameter(elsewhere))
    assert same(model, before)
    assert model.get_parameter(DOWN) is not model.get_parameter(elsewhere)


def test_a_weight_whose_storage_was_put_there_keeps_its_bits(model, patch):
    elsewhere = "model.layers.0.mlp.down_proj.weight"
    before = state(model)
    with patched(model, patch):
        put_parameter(model, DOWN, nn.Parameter(model.get_parameter(elsewhere).detach()))
    assert same(model, before)


def test_layers_that_move_up_when_one_is_removed_keep_their_bits(model, patch):
    last = bits(model.model.layers[2])
    with patched(model, patch):
        removed = model.model.layers[LAYER]
        patched_bits = bits(removed)
        del model.model.layers[LAYER]
    assert bits(model.model.layers[LAYER]) == last
    assert bits(removed) != patched_bits


def test_a_layer_that_moved_gets_its_bits_where_it_is(model, patch):
    before = bits(model.model.layers[LAYER])
    with patched(model, patch):
        model.model.layers.insert(0, nn.Identity())
    assert bits(model.model.layers[LAYER + 1]) == before


def test_a_parameter_that_was_deleted_comes_back(model, patch):
    before = state(model)
    with patched(model, patch):
        del model.model.layers[LAYER].mlp.down_proj.weight
    assert same(model, before)


def test_a_weight_that_is_computed_from_others_now_is_no_silent_loss(model, patch):
    embedding = model.get_parameter(EMBEDDING).detach().clone()
    with pytest.raises(BaseMismatch, match="is no parameter of the model any more"):  # noqa: SIM117
        with patched(model, patch):
            parametrizations.weight_norm(model.model.layers[LAYER].mlp.down_proj)
    assert torch.equal(model.get_parameter(EMBEDDING), embedding)
    assert model not in attachments._attached


def test_all_can_be_taken_off_at_once(model, patch, widening):
    before = state(model)
    held = [attach(model, patch), attach(model, widening)]
    put_parameter(model, DOWN, copy_of(model, DOWN))
    detach_all(model)
    assert same(model, before)
    for attachment in held:
        attachment.detach()
    detach_all(model)
    assert same(model, before)


def test_a_parameter_of_the_model_itself(pico):
    base = pico.base_of({"weight": pico.tensors("F32")[pico.DOWN]})
    model = model_of(base)
    before = bits(model)
    with patched(model, pico.patch(base, operations={"weight": [pico.lowrank((6, 10))]})):
        put_parameter(model, "weight", copy_of(model, "weight"))
    assert bits(model) == before
