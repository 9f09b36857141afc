import pytest
import torch
from method_fixtures import state_of
from weightpatch.patches.methods.running.borrowing import add, borrowed
from weightpatch.patches.operations.lowrank import LowRank


@pytest.mark.parametrize("interrupt", [None, ValueError, KeyboardInterrupt])
def test_a_borrowed_model_comes_back_as_it_was(llama, interrupt):
    llama.model.train()
    llama.layers[1].eval()
    llama.weight(0).requires_grad_(False)
    before = state_of(llama)
    weight = llama.weight(2)
    expected = weight.detach() + 1

    def work():
        with borrowed(llama, [weight]):
            assert not any(parameter.requires_grad for parameter in llama.model.parameters())
            assert not any(module.training for module in llama.model.modules())
            add(weight, LowRank.snapped(torch.ones(32, 1).numpy(), torch.ones(1, 48).numpy()))
            if interrupt:
                raise interrupt
            torch.testing.assert_close(weight, expected)

    if interrupt:
        with pytest.raises(interrupt):
            work()
    else:
        work()
    assert state_of(llama) == before


def test_adding_rounds_once(llama):
    weight = llama.weight(0)
    with torch.no_grad():
        weight.fill_(1.0)
    tiny = LowRank.snapped(torch.full((32, 1), 2.0**-25).numpy(), torch.ones(1, 48).numpy())
    add(weight, tiny)
    assert (weight == 1.0).all()
    add(weight, LowRank.snapped(4 * tiny.a, tiny.b))
    assert (weight == 1.0 + 2.0**-23).all()
