"""Running part of a decoder gives what running all of it gives."""

import torch
from weightpatch.patches.methods.running.decoder import Continuation, run_up_to
from weightpatch.patches.methods.running.prompts import align, tokenise

LAYER = 1
PROMPT = "The mother tongue of {} is"


def rows(model):
    """Of different lengths, so that there is padding on both sides."""
    texts = ["", "What a lovely day it is in the garden! ", "Łódź. "]
    found = [
        tokenise(model, PROMPT, "Marie Curie", prefix=prefix, target="English") for prefix in texts
    ]
    return [*found, tokenise(model, "{} is a", "Marie Curie")]


def alone(model, row, delta):
    """A row without padding or cache through the whole model, `delta` added by a hook."""

    def add(_layer, _inputs, output):
        states.append(output)
        changed = output.clone()
        changed[:, row.subject] += delta
        return changed

    states = []
    with model.layers[LAYER].register_forward_hook(add):
        last = model.backbone(input_ids=torch.tensor([row.given])).last_hidden_state
    return states[0][0], last[0, row.subject :]


def start(model):
    found = rows(model)
    batch = align(found, model.device)
    with torch.no_grad():
        states = run_up_to(model, LAYER, batch.ids, batch.mask, batch.positions)
    return found, batch, states


def test_states_of_a_layer_are_those_of_the_whole_model(every):
    found, batch, states = start(every)
    for row, shift, state in zip(found, batch.shift, states, strict=True):
        expected, _ = alone(every, row, 0.0)
        torch.testing.assert_close(state[shift : shift + len(row.given)], expected)


def test_a_continuation_is_the_whole_model_with_something_added_at_the_subject(every):
    found, batch, states = start(every)
    tail = Continuation(every, LAYER, batch, states)
    delta = torch.randn(states.shape[-1], generator=torch.Generator().manual_seed(1))
    for added in (delta, -3 * delta, torch.zeros_like(delta)):
        last = tail(added)
        for index, row in enumerate(found):
            _, expected = alone(every, row, added)
            torch.testing.assert_close(last[index, : len(expected)], expected)


def test_its_base_is_the_model_with_nothing_added(every):
    found, batch, states = start(every)
    tail = Continuation(every, LAYER, batch, states)
    for index, row in enumerate(found):
        _, expected = alone(every, row, 0.0)
        torch.testing.assert_close(tail.base[index, : len(expected)], expected)


def test_gradients_are_those_of_the_whole_model(every):
    found, batch, states = start(every)
    tail = Continuation(every, LAYER, batch, states)
    weights = torch.randn(states.shape[-1], generator=torch.Generator().manual_seed(2))

    def gradient(run):
        delta = torch.full_like(weights, 0.1, requires_grad=True)
        (found,) = torch.autograd.grad(run(delta), delta)
        return found

    for index, row in enumerate(found):
        length = len(row.given) - row.subject
        partial = gradient(lambda d, i=index, n=length: (tail(d)[i, :n] @ weights).sin().sum())
        whole = gradient(lambda d, r=row: (alone(every, r, d)[1] @ weights).sin().sum())
        torch.testing.assert_close(partial, whole, rtol=1e-4, atol=1e-5)


def test_a_subject_that_is_the_first_token_has_nothing_before_it(every):
    found = [tokenise(every, "{} is", "T", target="English")]
    assert found[0].subject == 0
    batch = align(found, every.device)
    with torch.no_grad():
        states = run_up_to(every, LAYER, batch.ids, batch.mask, batch.positions)
    delta = torch.ones(states.shape[-1])
    _, expected = alone(every, found[0], delta)
    last = Continuation(every, LAYER, batch, states)(delta)
    torch.testing.assert_close(last[0], expected)


def test_the_model_keeps_its_own_layers(every):
    before = list(every.model.named_modules())
    start_of = every.backbone
    _, batch, states = start(every)
    Continuation(every, LAYER, batch, states)
    assert list(every.model.named_modules()) == before
    assert every.backbone is start_of
