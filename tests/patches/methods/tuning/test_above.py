"""A change to one MLP is the same whether the whole model runs or only what lies above it."""

import pytest
import torch
from weightpatch.patches.methods.tuning.above import Above

IDS = torch.tensor([[5, 9, 200, 17, 31, 64, 3, 8], [7, 250, 33, 0, 0, 0, 0, 0]])


def delta_of(model, layer):
    shape = model.weight(layer).shape
    shape = shape[::-1] if model.architecture.transposed else shape
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layer", [0, 1, 3])
def test_it_is_the_whole_model_with_the_weight_changed(every, layer):
    delta = delta_of(every, layer)
    above = Above(every, layer, IDS)
    with torch.no_grad():
        unchanged = every.backbone(input_ids=IDS).last_hidden_state
        torch.testing.assert_close(above(torch.zeros_like(delta)), unchanged)
        every.weight(layer).add_(delta.T if every.architecture.transposed else delta)
        expected = every.backbone(input_ids=IDS).last_hidden_state
    torch.testing.assert_close(above(delta)[0], expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(above(delta)[1, :3], expected[1, :3], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(unchanged[0], expected[0], atol=0.01)


def test_its_gradient_is_the_slope_of_the_loss(every):
    """By central differences along a random direction; norms are float32 whatever the weights."""
    every.model.double()
    delta = delta_of(every, 1).double().requires_grad_()
    direction = delta_of(every, 1).double().flip(0)
    above = Above(every, 1, IDS)

    def loss(at):
        return above(at).sin().sum()

    (gradient,) = torch.autograd.grad(loss(delta), delta)
    step = 1e-3
    with torch.no_grad():
        slope = (loss(delta + step * direction) - loss(delta - step * direction)) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=1e-3)


def test_the_model_keeps_its_own_layers(every):
    before = list(every.model.named_modules())
    Above(every, 1, IDS)(delta_of(every, 1))
    assert list(every.model.named_modules()) == before
    assert not any(module._forward_pre_hooks for module in every.model.modules())
