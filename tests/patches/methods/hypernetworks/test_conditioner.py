import numpy as np
import pytest
import torch
from weightpatch.patches.methods.hypernetworks.conditioner import Conditioner, read

RATE = 0.25


@pytest.fixture
def network():
    def make(tail):
        made = Conditioner(tail.weights, hidden=32, width=4, rate=RATE)
        made.initialise(torch.Generator().manual_seed(0))
        return made

    return make


def test_a_fresh_network_is_plain_gradient_descent(tail, rows, records, network):
    gradients = tail.gradients(rows(tail))
    found = network(tail).changes(tail.model, gradients, records[::4])
    for gradient, change in zip(gradients, found, strict=True):
        assert change.left.shape[1] == gradient.delta.shape[1] + 1
        descent = -RATE * gradient.delta.transpose(1, 2) @ gradient.inputs
        torch.testing.assert_close(change.left.transpose(1, 2) @ change.right, descent)


def test_a_trained_network_is_the_dense_formula_of_the_paper(
    small, rows, records, network, randomised
):
    """-sigmoid(η)(Â ⊙ ∇W + B̂) with dense Â and B̂, after an LSTM written out in NumPy."""
    gradients = small.gradients(rows(small))
    made = randomised(network(small))
    found = made.changes(small.model, gradients, records[::4])
    for index, request in enumerate(records[::4]):
        hidden = encoded(made, small.model, request)
        for weight, gradient, change, head in zip(
            small.weights, gradients, found, made.heads, strict=True
        ):
            out, inner = weight.out_size, weight.in_size
            said = head.weight.detach().double().numpy() @ hidden
            said += head.bias.detach().double().numpy()
            a, b, g, d, eta = np.split(said, np.cumsum([out, out, inner, inner]))
            gate = np.outer(softmax(a), 2 * RATE * out * (1 + g))
            nabla = (gradient.delta[index].T @ gradient.inputs[index]).double().numpy()
            dense = -(gate * nabla + np.outer(softmax(b), d)) / (1 + np.exp(-eta))
            product = (change.left[index].T @ change.right[index]).detach()
            np.testing.assert_allclose(product, dense, rtol=1e-3, atol=1e-5)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def encoded(network, model, request):
    parts = [request.text, request.old_target, request.target]
    p = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    table = model.model.get_input_embeddings().weight.double().numpy()
    words = [
        table[token] + p["parts"][index]
        for index, text in enumerate(parts)
        for token in model.tokenizer(text)["input_ids"]
    ]
    ends = [lstm(p, words, ""), lstm(p, words[::-1], "_reverse")]
    return np.tanh(p["middle.weight"] @ np.concatenate(ends) + p["middle.bias"])


def lstm(p, words, way):
    names = [f"encoder.{name}_l0{way}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    w, r, bw, br = (p[name] for name in names)
    state = cell = np.zeros(len(r) // 4)
    for word in words:
        i, f, g, o = np.split(w @ word + bw + r @ state + br, 4)
        cell = cell / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        state = np.tanh(cell) / (1 + np.exp(-o))
    return state


def test_without_an_old_answer_it_reads_prompt_and_new_answer(llama, records):
    known, unknown = records[0], type(records[0])("{} was born in", "Danielle", "Poland")
    assert set(read(llama, known).parts.tolist()) == {0, 1, 2}
    assert set(read(llama, unknown).parts.tolist()) == {0, 2}


def test_making_and_filling_a_network_leaves_the_global_generator_alone(small, network):
    with torch.device("meta"):
        before = torch.get_rng_state()
        made = Conditioner(small.weights, hidden=32, width=4, rate=RATE)
    made.to_empty(device="cpu")
    made.initialise(torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
