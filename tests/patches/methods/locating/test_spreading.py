"""What MEMIT and AlphaEdit have in common: an edit that is spread over several layers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_fixtures import ACTOR, MARIE, PISA
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.alphaedit import AlphaEdit, AlphaEditHyperparameters
from weightpatch.patches.methods.base import Resources, Step
from weightpatch.patches.methods.locating.measuring import measured
from weightpatch.patches.methods.memit import Memit, MemitHyperparameters
from weightpatch.patches.methods.running.borrowing import add
from weightpatch.patches.progress import silent

LAYERS = (0, 1, 2)
COMMON = {
    "layers": LAYERS,
    "prefixes": 2,
    "prefix_length": 4,
    "statistics_tokens": 500,
    "weight_decay": 0.0,
    "clamp": 50.0,
    "steps": 8,
}
SETTINGS = {
    Memit: MemitHyperparameters(**COMMON, covariance_weight=1e-3),
    AlphaEdit: AlphaEditHyperparameters(**COMMON, nullspace_threshold=2.0, ridge=1e-4),
}


@pytest.fixture(params=SETTINGS, ids=lambda method: method.name)
def method(request):
    return request.param


def edit(method, model, store, *requests, **changes):
    return method().edit(
        model,
        requests,
        replace(SETTINGS[method], **changes),
        seed=0,
        resources=Resources(store),
        progress=silent,
    )


def state(model, request, layer):
    """The output of a layer at the subject's last token, in a plain forward pass."""
    text = request.text[: request.text.index(request.subject) + len(request.subject)]
    with torch.no_grad():
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        states = model.model(input_ids=ids, output_hidden_states=True).hidden_states
    return states[layer + 1][0, -1].numpy()


def test_each_layer_gets_one_operation_of_the_rank_of_the_batch(method, every, store):
    found = edit(method, every, store, MARIE, ACTOR, PISA)
    names = [every.tensor_name(layer) for layer in LAYERS]
    assert list(found.operations) == names
    for name in names:
        (operation,) = found.operations[name]
        assert operation.size == 3
        assert operation.shape == every.checkpoint.tensors[name].shape
        assert found.auxiliary[f"{name}::aux.keys"].shape == (3, 48)
        assert found.auxiliary[f"{name}::aux.residuals"].shape == (3, 32)
    assert {array.dtype for array in found.auxiliary.values()} == {np.dtype("float32")}
    assert [record["module"] for record in found.statistics] == [
        every.architecture.module(layer) for layer in LAYERS
    ]
    assert len(found.sampled["prefixes"]) == 2
    assert found.steps == ()


def test_what_is_left_to_do_is_shared_among_the_layers_left(method, llama, store):
    """h + mR is the same z at each of the layers, h being what those below have made of it."""
    found = edit(method, llama, store, MARIE, ACTOR)
    wanted = []
    for done, layer in enumerate(LAYERS):
        name = llama.tensor_name(layer)
        states = np.stack([state(llama, request, LAYERS[-1]) for request in (MARIE, ACTOR)])
        wanted.append(states + (3 - done) * found.auxiliary[f"{name}::aux.residuals"])
        for operation in found.operations[name]:
            add(llama.weight(layer), operation)
    np.testing.assert_allclose(wanted[1], wanted[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(wanted[2], wanted[0], rtol=1e-4, atol=1e-4)


def test_keys_are_those_of_the_model_with_the_layers_below_edited(method, llama, store):
    found = edit(method, llama, store, MARIE, ACTOR, prefixes=0)
    for layer in LAYERS:
        keys = []
        with llama.projection(layer).register_forward_pre_hook(
            lambda _module, inputs, keys=keys: keys.append(inputs[0][0, -1].numpy())
        ):
            state(llama, MARIE, layer)
            state(llama, ACTOR, layer)
        name = llama.tensor_name(layer)
        stored = found.auxiliary[f"{name}::aux.keys"]
        np.testing.assert_allclose(stored, keys, rtol=1e-4, atol=1e-5)
        for operation in found.operations[name]:
            add(llama.weight(layer), operation)


def test_many_requests_are_measured_as_each_by_itself(llama):
    requests = [replace(MARIE, prompt=f"{'So, ' * n}{{}} said", id=str(n)) for n in range(7)] * 9
    prefixes = ("What a day. ", "In the garden. ")
    keys, states = measured(llama, requests, prefixes, 1, 2, 0.5)
    assert keys.shape == (63, 48)
    for index in (0, 6, 62):
        key, own = measured(llama, [requests[index]], prefixes, 1, 2, 0.5)
        np.testing.assert_allclose(keys[index], key[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(states[index], own[0], rtol=1e-4, atol=1e-5)


def test_the_order_in_a_batch_does_not_matter(method, llama, store):
    one = edit(method, llama, store, MARIE, ACTOR)
    other = edit(method, llama, store, ACTOR, MARIE)
    for name, (operation,) in one.operations.items():
        (turned,) = other.operations[name]
        np.testing.assert_allclose(operation.rows(0, 32), turned.rows(0, 32), rtol=1e-2, atol=1e-4)


def test_a_batch_is_not_a_sequence(method, llama, store):
    together = edit(method, llama, store, MARIE, ACTOR)
    sequence = edit(method, llama, store, MARIE, ACTOR, batch_size=1)
    sizes = dict.fromkeys(map(llama.tensor_name, LAYERS), 1)
    assert sequence.steps == (Step(1, sizes), Step(1, sizes))
    name = llama.tensor_name(LAYERS[-1])
    delta = sum(each.rows(0, 32) for each in sequence.operations[name])
    assert not np.allclose(delta, together.operations[name][0].rows(0, 32), atol=1e-3)


def test_a_layer_with_nothing_above_it_is_refused(method, llama, store):
    with pytest.raises(RequestRefused, match="layer 3 cannot be edited"):
        edit(method, llama, store, MARIE, layers=(2, 3))


def test_more_keys_than_a_layer_has_inputs_are_refused_unless_in_batches(method, llama, store):
    requests = [replace(MARIE, id=str(number)) for number in range(49)]
    with pytest.raises(RequestRefused, match="49 requests cannot be solved together") as refused:
        edit(method, llama, store, *requests)
    assert refused.value.hint == "set batch_size to 48 or less"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"layers": ()}, "layers"),
        ({"layers": (-1, 0)}, "layers"),
        ({"layers": (1, 0)}, "layers are in increasing order"),
        ({"layers": (1, 1)}, "layers are in increasing order"),
        ({"layers": tuple(range(101))}, "layers are 1 to 100"),
        ({"batch_size": -1}, "batch_size"),
        ({"prefixes": 101}, "prefixes"),
        ({"prefix_length": 0}, "prefix_length"),
        ({"bare_weight": 0.0}, "bare_weight"),
        ({"statistics_tokens": 1}, "statistics_tokens"),
        ({"clamp": math.nan}, "clamp"),
    ],
)
def test_hyperparameters_out_of_range_are_refused_by_name(method, changes, rule):
    with pytest.raises(RequestRefused, match=rule):
        replace(SETTINGS[method], **changes)
