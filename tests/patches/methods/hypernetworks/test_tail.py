"""The top layers alone must say what the whole model says, gradients and changes included."""

import pytest
import torch
from weightpatch.patches.methods.hypernetworks.tail import Answers, Change, padded


def logits(model, row):
    return model.model(input_ids=torch.tensor([row.forced.inputs])).logits[0]


def chances_of(tail, rows):
    answers = Answers.of(rows, tail.model.device)
    return answers, tail.log_probabilities(tail.run(padded(rows)), answers)


def test_the_tail_continues_what_the_layers_below_computed(tail, rows):
    some = rows(tail)
    answers, found = chances_of(tail, some)
    for place, (row, column) in enumerate(zip(answers.rows, answers.columns, strict=True)):
        whole = logits(tail.model, some[row])[column].log_softmax(-1)
        torch.testing.assert_close(found[place], whole, rtol=1e-4, atol=1e-4)


def test_factors_of_a_gradient_multiply_to_the_gradient_of_autograd(tail, rows):
    """Σ_t δ_t u_tᵀ = ∂(-log p)/∂W, by autograd on the whole model."""
    some = rows(tail)
    found = tail.gradients(some)
    weights = [tail.model.model.get_parameter(f"{each.module}.weight") for each in tail.weights]
    for index, row in enumerate(some):
        for weight in weights:
            weight.requires_grad_(True)
        chances = logits(tail.model, row)[row.forced.start - 1 :].log_softmax(-1)
        tokens = torch.tensor(row.forced.target)
        loss = -chances.gather(1, tokens[:, None]).mean()
        for weight, expected, gradient in zip(
            tail.weights, torch.autograd.grad(loss, weights), found, strict=True
        ):
            product = gradient.delta[index].T @ gradient.inputs[index]
            stored = product.T if weight.transposed else product
            torch.testing.assert_close(stored, expected, rtol=1e-3, atol=1e-5)


def test_each_row_runs_with_the_change_of_its_record(tail, rows):
    """The same as with the weights themselves changed, one record after the other."""
    some = rows(tail)
    generator = torch.Generator().manual_seed(3)
    changes = [
        Change(
            0.1 * torch.randn(2, 4, weight.out_size, generator=generator),
            0.1 * torch.randn(2, 4, weight.in_size, generator=generator),
        )
        for weight in tail.weights
    ]
    owners = torch.tensor([1, 0, 1])
    with tail.changed(changes, owners):
        answers, found = chances_of(tail, some)
    unchanged = chances_of(tail, some)[1]
    assert not torch.allclose(found, unchanged, atol=1e-3)
    for owner in (0, 1):
        dense = [change.left[owner].T @ change.right[owner] for change in changes]
        add(tail, dense, 1)
        expected = chances_of(tail, some)[1]
        add(tail, dense, -1)
        mine = owners[answers.rows] == owner
        torch.testing.assert_close(found[mine], expected[mine], rtol=1e-3, atol=1e-3)


@torch.no_grad()
def add(tail, dense, sign):
    for weight, delta in zip(tail.weights, dense, strict=True):
        parameter = tail.model.model.get_parameter(f"{weight.module}.weight")
        parameter += sign * (delta.T if weight.transposed else delta)


@pytest.mark.parametrize("wrong", [KeyboardInterrupt, ValueError])
def test_no_hook_is_left_behind(small, rows, wrong):
    some = rows(small)
    small.gradients(some)
    changes = [
        Change(torch.zeros(1, 1, each.out_size), torch.zeros(1, 1, each.in_size))
        for each in small.weights
    ]
    with pytest.raises(wrong), small.changed(changes, torch.zeros(3, dtype=torch.long)):
        raise wrong
    assert not any(module._forward_hooks for module in small.model.model.modules())
