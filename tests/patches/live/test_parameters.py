"""Weights that are not one plain tensor in memory are refused, and say why."""

import pytest
import torch
from live_models import bits, model_of
from torch import nn
from weightpatch.patches.errors import BaseMismatch, Unsupported
from weightpatch.patches.live import attach


@pytest.fixture
def model(pico):
    return model_of(pico.base("live"))


@pytest.fixture
def patch(pico):
    return pico.patch(pico.base())


def replace(model: nn.Module, name: str, parameter: nn.Parameter) -> None:
    owner = model.get_submodule(name.removesuffix(".weight"))
    owner.weight = parameter


def test_offloaded_weights(model, patch):
    with pytest.raises(Unsupported, match="no weights in memory"):
        attach(model.to("meta"), patch)


def test_weights_of_a_class_of_their_own(pico, model, patch):
    class Params4bit(nn.Parameter):
        """As libraries that quantise or shard have them."""

    replace(model, pico.DOWN, Params4bit(torch.zeros(30, 1, dtype=torch.uint8), False))
    with pytest.raises(Unsupported, match="not one whole tensor") as refusal:
        attach(model, patch)
    assert "Params4bit" in refusal.value.why


def test_integer_weights(pico, model, patch):
    replace(model, pico.DOWN, nn.Parameter(torch.zeros(6, 10, dtype=torch.int8), False))
    with pytest.raises(Unsupported, match=r"torch\.int8"):
        attach(model, patch)


def test_weights_spread_over_a_mesh(pico, model, patch):
    from torch.distributed import destroy_process_group, init_process_group
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor
    from torch.testing._internal.distributed.fake_pg import FakeStore

    init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        mesh = init_device_mesh("cpu", (2,))
        whole = model.get_parameter(pico.DOWN).detach()
        replace(model, pico.DOWN, nn.Parameter(distribute_tensor(whole, mesh, [Shard(0)])))
        with pytest.raises(Unsupported, match="not one whole tensor"):
            attach(model, patch)
    finally:
        destroy_process_group()


def test_a_refusal_of_the_second_tensor_leaves_the_first(pico, model):
    operations = {pico.DOWN: [pico.lowrank((6, 10))], pico.UP: [pico.lowrank((10, 6))]}
    patch = pico.patch(pico.base(), operations=operations)
    replace(model, pico.UP, nn.Parameter(torch.empty(10, 6, device="meta")))
    down = model.get_submodule(pico.DOWN.removesuffix(".weight"))
    before = bits(down)
    with pytest.raises(Unsupported):
        attach(model, patch)
    assert bits(down) == before


def test_a_property_is_no_module(pico, model, patch):
    class Named(nn.Module):
        @property
        def model(self) -> nn.Module:
            raise AssertionError("a name from outside must not run code")

    with pytest.raises(BaseMismatch, match="has no parameter"):
        attach(Named(), patch)
