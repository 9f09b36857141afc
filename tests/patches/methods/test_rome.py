import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_fixtures import ACTOR, MARIE
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.rome import Rome, RomeHyperparameters
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent

LAYER = 1
SETTINGS = RomeHyperparameters(
    layer=LAYER, prefixes=3, prefix_length=4, statistics_tokens=500, weight_decay=0.0, clamp=50.0
)


def edit(model, store, *requests, settings=SETTINGS):
    return Rome().edit(
        model, requests, settings, seed=0, resources=Resources(store), progress=silent
    )


def operations(found, model):
    (name,) = found.operations
    assert name == model.tensor_name(LAYER)
    return found.operations[name]


def test_the_edited_weight_gives_the_key_its_new_value(every, store):
    """W'k* = Wk* + δ, up to the grid."""
    found = edit(every, store, MARIE)
    (operation,) = operations(found, every)
    assert operation.size == 1
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


def test_a_layer_with_nothing_above_it_is_refused(llama, store):
    settings = RomeHyperparameters(layer=3)
    with pytest.raises(RequestRefused, match="layer 3 cannot be edited") as refused:
        edit(llama, store, MARIE, settings=settings)
    assert refused.value.hint == "set layer to 2 or less"


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
