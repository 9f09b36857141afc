"""MEMIT's closed form, against the dense formula of the paper in plain NumPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from method_fixtures import ACTOR, MARIE
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.locating.measuring import measured
from weightpatch.patches.methods.locating.rank_one import Whitener
from weightpatch.patches.methods.memit import Memit, MemitHyperparameters, against_covariance
from weightpatch.patches.methods.running.borrowing import add
from weightpatch.patches.progress import silent

LAYERS = (0, 2)
SETTINGS = MemitHyperparameters(
    layers=LAYERS, prefixes=0, statistics_tokens=500, steps=6, covariance_weight=0.3
)


def edit(model, store, *requests, **changes):
    return Memit().edit(
        model,
        requests,
        replace(SETTINGS, **changes),
        seed=0,
        resources=Resources(store),
        progress=silent,
    )


def delta(found, name):
    return sum(operation.rows(0, operation.shape[0]) for operation in found.operations[name])


def drawn(count, size=12, tokens=200):
    random = np.random.default_rng(count)
    keys = random.normal(size=(tokens, size)) @ random.normal(size=(size, size))
    return keys.T @ keys / tokens, random.normal(size=(size, count))


@pytest.mark.parametrize("count", [1, 4, 12])
def test_the_rows_are_those_of_the_dense_formula(count):
    """Kᵀ(λC + KKᵀ)⁻¹."""
    moment, keys = drawn(count)
    expected = keys.T @ np.linalg.inv(3.0 * moment + keys @ keys.T)
    found = against_covariance(keys, Whitener(moment, 0.0), 3.0)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_of_all_changes_it_has_the_least_loss():
    """‖ΔK - R‖² + λ tr ΔCΔᵀ, whose gradient vanishes there."""
    moment, keys = drawn(4)
    residuals = np.random.default_rng(9).normal(size=(5, 4))
    update = residuals @ against_covariance(keys, Whitener(moment, 0.0), 3.0)
    gradient = (update @ keys - residuals) @ keys.T + 3.0 * update @ moment
    np.testing.assert_allclose(gradient, 0, atol=1e-9)


def test_for_one_key_and_a_small_weight_it_is_rome():
    moment, keys = drawn(1)
    (row,) = against_covariance(keys, Whitener(moment, 0.0), 1e-9)
    expected = Whitener(moment, 0.0).direction(keys[:, 0])
    np.testing.assert_allclose(row, expected, rtol=1e-7)


def test_the_update_is_the_formula_of_the_paper(every, store):
    """R Kᵀ (λC + KKᵀ)⁻¹ at each layer, with C as the statistics have it, shrunk."""
    found = edit(every, store, MARIE, ACTOR)
    for layer in LAYERS:
        name = every.tensor_name(layer)
        keys = found.auxiliary[f"{name}::aux.keys"].astype(np.float64).T
        residuals = found.auxiliary[f"{name}::aux.residuals"].astype(np.float64).T
        moment = store.second_moments(every, [layer], 500)[layer].matrix.astype(np.float64)
        moment = 0.9 * moment + 0.1 * np.trace(moment) / len(moment) * np.eye(len(moment))
        expected = residuals @ keys.T @ np.linalg.inv(0.3 * moment + keys @ keys.T)
        if every.architecture.transposed:
            expected = expected.T
        np.testing.assert_allclose(delta(found, name), expected, rtol=1e-4, atol=1e-5)


def test_with_a_small_weight_the_keys_get_all_of_their_residuals(llama, store):
    found = edit(llama, store, MARIE, ACTOR, covariance_weight=1e-7)
    for layer in LAYERS:
        name = llama.tensor_name(layer)
        keys = found.auxiliary[f"{name}::aux.keys"].T
        residuals = found.auxiliary[f"{name}::aux.residuals"].T
        np.testing.assert_allclose(delta(found, name) @ keys, residuals, rtol=1e-3, atol=1e-3)
        assert np.linalg.norm(residuals) > 0.5


def test_with_a_small_weight_the_last_layer_says_what_was_wanted(every, store):
    """The last residual is what the layers below have left over, so that z is reached."""
    found = edit(every, store, MARIE, ACTOR, covariance_weight=1e-7)
    last = every.tensor_name(LAYERS[-1])
    add(every.weight(LAYERS[0]), found.operations[every.tensor_name(LAYERS[0])][0])
    _, before = measured(every, [MARIE, ACTOR], (), 0, LAYERS[-1], 1.0)
    add(every.weight(LAYERS[-1]), found.operations[last][0])
    _, after = measured(every, [MARIE, ACTOR], (), 0, LAYERS[-1], 1.0)
    wanted = before + found.auxiliary[f"{last}::aux.residuals"]
    np.testing.assert_allclose(after, wanted, rtol=1e-3, atol=1e-3)


def test_with_a_large_weight_nothing_changes(llama, store):
    found = edit(llama, store, MARIE, covariance_weight=1e9)
    assert all(np.abs(delta(found, name)).max() < 1e-6 for name in found.operations)


def test_statistics_of_all_layers_are_named(llama, store):
    found = edit(llama, store, MARIE)
    known = store.second_moments(llama, LAYERS, 500)
    assert list(found.statistics) == [known[layer].record for layer in LAYERS]


@pytest.mark.parametrize(
    "changes",
    [{"covariance_weight": 0.0}, {"covariance_weight": math.inf}, {"shrinkage": 1.5}],
)
def test_hyperparameters_out_of_range_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(RequestRefused, match=name):
        replace(SETTINGS, **changes)
