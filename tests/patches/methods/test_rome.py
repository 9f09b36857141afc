import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.rome import Rome, RomeHyperparameters
from weightpatch.patches.methods.running.borrowing import add
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent
from weightpatch.patches.requests import EditRequest

LAYER = 1
MARIE = EditRequest("The mother tongue of {} is", "Marie Curie", "English")
ACTOR = EditRequest("{} was born in", "An actor", "Paris", id="2")
SETTINGS = RomeHyperparameters(
    layer=LAYER, prefixes=3, prefix_length=4, statistics_tokens=500, weight_decay=0.0, clamp=50.0
)
BARE = replace(SETTINGS, prefixes=0)


@pytest.fixture
def store(tmp_path):
    return KeyStatistics(tmp_path / "statistics")


def edit(model, store, *requests, settings=SETTINGS, seed=0, progress=silent):
    return Rome().edit(
        model, requests, settings, seed=seed, resources=Resources(store), progress=progress
    )


def operations(found, model):
    (name,) = found.operations
    assert name == model.tensor_name(LAYER)
    return found.operations[name]


def live_state(model):
    return (
        {name: tensor.numpy().tobytes() for name, tensor in model.model.state_dict().items()},
        [parameter.requires_grad for parameter in model.model.parameters()],
        [(module.training, *map(len, hooks(module))) for module in model.model.modules()],
        torch.get_rng_state().tolist(),
    )


def hooks(module):
    return module._forward_hooks, module._forward_pre_hooks, module._backward_hooks


def nll(model, request):
    ids = model.tokenizer(request.text)["input_ids"]
    target = model.tokenizer(f" {request.target}")["input_ids"]
    with torch.no_grad():
        chances = model.model(input_ids=torch.tensor([ids + target])).logits[0].log_softmax(-1)
    return -sum(chances[len(ids) + i - 1, token].item() for i, token in enumerate(target))


def test_the_target_becomes_likelier_and_the_model_stays_as_it_was(every, store):
    before, unlikely = live_state(every), nll(every, MARIE)
    (operation,) = operations(edit(every, store, MARIE, settings=BARE), every)
    assert live_state(every) == before
    assert operation.shape == every.checkpoint.tensors[every.tensor_name(LAYER)].shape
    assert operation.size == 1
    add(every.weight(LAYER), operation)
    assert nll(every, MARIE) < unlikely - 0.3


def test_the_edited_weight_gives_the_key_its_new_value(every, store):
    """W'k* = Wk* + δ, up to the grid."""
    found = edit(every, store, MARIE)
    (operation,) = operations(found, every)
    name = every.tensor_name(LAYER)
    (key,), (residual,) = (found.auxiliary[f"{name}::aux.{what}"] for what in ("keys", "residuals"))
    delta = operation.rows(0, operation.shape[0])
    if every.architecture.transposed:
        delta = delta.T
    np.testing.assert_allclose(delta @ key.astype(np.float64), residual, rtol=1e-4, atol=1e-4)
    assert np.linalg.norm(residual) > 1


def test_the_key_is_half_that_of_the_prompt_and_half_the_mean_of_those_with_prefixes(every, store):
    found = edit(every, store, MARIE)
    keys = []
    with every.projection(LAYER).register_forward_pre_hook(
        lambda _module, inputs: keys.append(inputs[0][0, -1].numpy())
    ):
        for prefix in ("", *found.sampled["prefixes"]):
            ids = every.tokenizer(f"{prefix}The mother tongue of Marie Curie")["input_ids"]
            with torch.no_grad():
                every.model(input_ids=torch.tensor([ids]))
    assert len(keys) == 4
    stored = found.auxiliary[f"{every.tensor_name(LAYER)}::aux.keys"][0]
    expected = 0.5 * keys[0] + 0.5 * np.mean(keys[1:], axis=0)
    np.testing.assert_allclose(stored, expected, rtol=1e-4, atol=1e-5)


def test_the_update_is_the_formula_of_the_paper(llama, store):
    """Δ = δ (C⁻¹k)ᵀ / (kᵀC⁻¹k), with C as the statistics have it, shrunk, in plain NumPy."""
    found = edit(llama, store, MARIE)
    (operation,) = operations(found, llama)
    key, residual = (array[0].astype(np.float64) for array in found.auxiliary.values())
    moment = store.second_moments(llama, [LAYER], 500)[LAYER].matrix.astype(np.float64)
    moment = 0.9 * moment + 0.1 * np.trace(moment) / len(moment) * np.eye(len(moment))
    u = np.linalg.solve(moment, key)
    expected = np.outer(residual, u / (u @ key))
    np.testing.assert_allclose(operation.rows(0, 32), expected, rtol=1e-5, atol=1e-6)


def test_as_published_the_bare_key_gets_the_value_that_the_mean_key_points_to(every, store):
    """Δ = δ uᵀ / (uᵀk) with u = C⁻¹k̄, k̄ the mean key, k the bare prompt's."""
    found = edit(every, store, MARIE, settings=replace(SETTINGS, consistent=False))
    (operation,) = operations(found, every)
    mean, residual = (array[0].astype(np.float64) for array in found.auxiliary.values())
    seen = []
    with every.projection(LAYER).register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0][0, -1].double().numpy())
    ):
        ids = every.tokenizer("The mother tongue of Marie Curie")["input_ids"]
        with torch.no_grad():
            every.model(input_ids=torch.tensor([ids]))
    (bare,) = seen
    moment = store.second_moments(every, [LAYER], 500)[LAYER].matrix.astype(np.float64)
    moment = 0.9 * moment + 0.1 * np.trace(moment) / len(moment) * np.eye(len(moment))
    u = np.linalg.inv(moment) @ mean
    expected = np.outer(residual, u / (u @ bare))
    delta = operation.rows(0, operation.shape[0])
    if every.architecture.transposed:
        delta = delta.T
    np.testing.assert_allclose(delta, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(delta @ bare, residual, rtol=1e-4, atol=1e-4)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(llama, store):
    first, again, other = (edit(llama, store, MARIE, seed=seed) for seed in (7, 7, 8))
    assert bytes_of(first, llama) == bytes_of(again, llama)
    assert first.sampled == again.sampled
    assert first.sampled != other.sampled
    assert bytes_of(first, llama) != bytes_of(other, llama)


def bytes_of(found, model):
    return [part.tobytes() for each in operations(found, model) for part in each.parts.values()]


def test_requests_are_carried_out_one_after_another(llama, store):
    """The second is what it would be alone on a model that the first was added to."""
    both = operations(edit(llama, store, MARIE, ACTOR, settings=BARE), llama)
    (first,) = operations(edit(llama, store, MARIE, settings=BARE), llama)
    (alone,) = operations(edit(llama, store, ACTOR, settings=BARE), llama)
    add(llama.weight(LAYER), first)
    (second,) = operations(edit(llama, store, ACTOR, settings=BARE), llama)
    np.testing.assert_array_equal(both[0].rows(0, 32), first.rows(0, 32))
    np.testing.assert_array_equal(both[1].rows(0, 32), second.rows(0, 32))
    assert not np.allclose(both[1].rows(0, 32), alone.rows(0, 32))


def test_all_that_was_drawn_and_estimated_is_named(llama, store):
    found = edit(llama, store, MARIE, ACTOR)
    assert len(found.sampled["prefixes"]) == 3
    (record,) = found.statistics
    assert record == store.second_moments(llama, [LAYER], 500)[LAYER].record
    name = llama.tensor_name(LAYER)
    shapes = {key: array.shape for key, array in found.auxiliary.items()}
    assert shapes == {f"{name}::aux.keys": (2, 48), f"{name}::aux.residuals": (2, 32)}
    assert {array.dtype for array in found.auxiliary.values()} == {np.dtype("float32")}


def test_wholly_shrunk_no_statistics_are_needed(every, tmp_path):
    settings = RomeHyperparameters(layer=LAYER, prefixes=0, shrinkage=1.0)
    found = edit(every, KeyStatistics(tmp_path / "none"), MARIE, settings=settings)
    assert found.statistics == []
    assert not (tmp_path / "none").exists()
    key, residual = (array[0].astype(np.float64) for array in found.auxiliary.values())
    (operation,) = operations(found, every)
    delta = operation.rows(0, operation.shape[0])
    expected = np.outer(residual, key / (key @ key))
    if every.architecture.transposed:
        expected = expected.T
    np.testing.assert_allclose(delta, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("phase", ["own text", "key statistics", "prefixes", "key", "value 2 of 2"])
def test_interrupted_anywhere_the_model_is_as_it_was(llama, store, phase):
    llama.model.train()
    before = live_state(llama)
    phases = set()

    def interrupt(name, done, _total):
        phases.add(name)
        if name.startswith(phase) and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edit(llama, store, MARIE, ACTOR, progress=interrupt)
    assert any(name.startswith(phase) for name in phases)
    assert live_state(llama) == before


def test_a_layer_with_nothing_above_it_is_refused(llama, store):
    settings = RomeHyperparameters(layer=3)
    with pytest.raises(RequestRefused, match="layer 3 cannot be edited") as refused:
        edit(llama, store, MARIE, settings=settings)
    assert refused.value.hint == "set layer to 2 or less"


def test_without_requests_there_is_nothing_to_do(llama, store):
    with pytest.raises(RequestRefused, match="no request"):
        edit(llama, store)


@pytest.mark.parametrize(
    "changes",
    [
        {"layer": -1},
        {"prefixes": 101},
        {"prefix_length": 0},
        {"bare_weight": 0.0},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"momentum": 1.0},
        {"loss_threshold": -1.0},
        {"kl_factor": math.inf},
        {"weight_decay": -0.1},
        {"clamp": 0.0},
        {"statistics_tokens": 1},
        {"shrinkage": 1.5},
    ],
)
def test_hyperparameters_out_of_range_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(RequestRefused, match=name):
        replace(SETTINGS, **changes)


def test_every_family_has_a_default_layer_that_can_be_edited(every, store):
    settings = Rome.defaults(every)
    assert 0 <= settings.layer < every.layer_count - 1
    quick = replace(settings, statistics_tokens=500, steps=2, prefixes=1)
    edit(every, store, MARIE, settings=quick)
