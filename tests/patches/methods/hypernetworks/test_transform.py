import math

import numpy as np
import pytest
import torch
from weightpatch.patches.methods.hypernetworks.transform import Transform

RATE = 0.25


@pytest.fixture
def network():
    def make(tail):
        made = Transform(tail.weights, rank=3, rate=RATE)
        made.initialise(torch.Generator().manual_seed(0))
        return made

    return make


def test_a_fresh_network_is_plain_gradient_descent(tail, rows, network):
    gradients = tail.gradients(rows(tail))
    for gradient, change in zip(
        gradients, network(tail).changes(tail.model, gradients, []), strict=True
    ):
        descent = -RATE * gradient.delta.transpose(1, 2) @ gradient.inputs
        torch.testing.assert_close(change.left.transpose(1, 2) @ change.right, descent)


def test_a_trained_network_is_the_formula_of_the_paper(small, rows, network, randomised):
    """h = z + relu(s₁(U₁V₁z + b) + o₁), then h + relu(s₂U₂V₂h + o₂), token by token in NumPy."""
    gradients = small.gradients(rows(small))
    made = randomised(network(small))
    made.measure([gradients])
    found = made.changes(small.model, gradients, [])
    for weight, gradient, change, own in zip(
        small.weights, gradients, found, made.own, strict=True
    ):
        shared = made.shared[f"{weight.out_size}x{weight.in_size}"]
        p = {name: value.detach().double().numpy() for name, value in shared.named_parameters()}
        q = {name: value.detach().double().numpy() for name, value in own.state_dict().items()}
        for record, token in np.ndindex(*gradient.delta.shape[:2]):
            delta, u = gradient.delta[record, token], gradient.inputs[record, token]
            left, right = change.left[record, token], change.right[record, token]
            if not delta.any():
                assert not left.any()
                continue
            z = (torch.cat([u, delta]).double().numpy() - q["mean"]) / q["deviation"]
            h = z + np.maximum(q["s1"] * (p["u1"] @ (p["v1"] @ z) + p["b"]) + q["o1"], 0)
            out = h + np.maximum(q["s2"] * (p["u2"] @ (p["v2"] @ h)) + q["o2"], 0)
            expected = -math.exp(q["log_rate"][0]) * out[len(u) :]
            np.testing.assert_allclose(left.detach(), expected, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(right.detach(), out[: len(u)], rtol=1e-3, atol=1e-3)


def test_statistics_are_those_of_the_tokens_that_have_a_gradient(small, rows, network):
    gradients = small.gradients(rows(small))
    made = network(small)
    made.measure([gradients])
    last = gradients[-1]
    used = last.delta.abs().amax(-1) > 0
    assert 0 < used.sum() < used.numel()
    tokens = np.concatenate([last.inputs[used].numpy(), last.delta[used].numpy()], axis=1)
    np.testing.assert_allclose(made.own[-1].mean, tokens.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(made.own[-1].deviation, tokens.std(0), rtol=1e-4, atol=1e-6)


def test_gradients_reach_every_parameter_of_a_fresh_network_but_one(small, rows, network):
    """V₁ and V₂ wait for U, as U = 0 hides them."""
    gradients = small.gradients(rows(small))
    made = network(small)
    changes = made.changes(small.model, gradients, [])
    sum((each.left.sum() + each.right.sum() for each in changes), torch.zeros(())).backward()
    still = {name.split(".")[-1] for name, one in made.named_parameters() if not one.grad.any()}
    assert still <= {"v1", "v2", "s1", "s2"}
