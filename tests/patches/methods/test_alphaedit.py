"""AlphaEdit's projected closed form, against the dense formula of the paper in plain NumPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from method_fixtures import ACTOR, MARIE, PISA
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.alphaedit import AlphaEdit, AlphaEditHyperparameters, NullSpace
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.progress import silent

LAYERS = (0, 2)
SETTINGS = AlphaEditHyperparameters(
    layers=LAYERS,
    prefixes=0,
    statistics_tokens=500,
    steps=6,
    nullspace_threshold=0.5,
    ridge=0.01,
)


def edit(model, store, *requests, **changes):
    return AlphaEdit().edit(
        model,
        requests,
        replace(SETTINGS, **changes),
        seed=0,
        resources=Resources(store),
        progress=silent,
    )


def drawn(size=12, tokens=200):
    """A covariance of which half the directions hold next to nothing, and keys."""
    random = np.random.default_rng(1)
    scales = np.repeat([3.0, 0.01], size // 2)
    turned, _ = np.linalg.qr(random.normal(size=(size, size)))
    keys = random.normal(size=(tokens, size)) * scales @ turned
    return keys.T @ keys / tokens, random.normal(size=(size, 2)), random.normal(size=(size, 3))


def projector(moment, threshold):
    """The sum of q qᵀ over eigenvectors with a small eigenvalue, one by one."""
    values, vectors = np.linalg.eigh(moment)
    limit = threshold * np.trace(moment) / len(moment)
    small = [
        np.outer(vectors[:, i], vectors[:, i]) for i in range(len(values)) if values[i] < limit
    ]
    return sum(small)


def dense(moment, threshold, ridge, earlier, keys):
    """K₁ᵀP(KₚKₚᵀP + K₁K₁ᵀP + cI)⁻¹, all matrices [in, in] and inverted as they stand."""
    p = projector(moment, threshold)
    inner = earlier @ earlier.T @ p + keys @ keys.T @ p
    return keys.T @ p @ np.linalg.inv(inner + ridge * np.trace(moment) * np.eye(len(moment)))


def test_the_projector_takes_out_what_other_keys_hold():
    moment, _, _ = drawn()
    space = NullSpace(moment, 0.1)
    p = space.basis @ space.basis.T
    np.testing.assert_allclose(p, projector(moment, 0.1), atol=1e-10)
    np.testing.assert_allclose(p @ p, p, atol=1e-12)
    np.testing.assert_allclose(p, p.T)
    assert np.trace(p) == pytest.approx(6)
    assert np.linalg.norm(p @ moment, 2) < 0.1 * np.trace(moment) / 12
    assert np.linalg.norm(p @ moment, 2) < 1e-4 * np.linalg.norm(moment, 2)


def test_the_rows_are_those_of_the_dense_formula():
    moment, earlier, keys = drawn()
    found = NullSpace(moment, 0.1).solve(keys, earlier, 0.03)
    np.testing.assert_allclose(found, dense(moment, 0.1, 0.03, earlier, keys), rtol=1e-7, atol=1e-9)


def test_the_update_keeps_out_of_what_other_keys_hold():
    moment, earlier, keys = drawn()
    found = NullSpace(moment, 0.1).solve(keys, earlier, 0.03)
    np.testing.assert_allclose(found @ projector(moment, 0.1), found, atol=1e-10)
    assert np.abs(found @ moment).max() < 1e-3 * np.abs(found).max() * np.abs(moment).max()


def test_with_a_small_ridge_new_keys_get_all_and_earlier_keys_nothing():
    moment, earlier, keys = drawn()
    found = NullSpace(moment, 0.1).solve(keys, earlier, 1e-12)
    np.testing.assert_allclose(found @ keys, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(found @ earlier, 0, atol=1e-6)


def test_the_threshold_has_no_unit():
    moment, earlier, keys = drawn()
    small = NullSpace(moment, 0.1).solve(keys, earlier, 0.03)
    large = NullSpace(100 * moment, 0.1).solve(10 * keys, 10 * earlier, 0.03)
    np.testing.assert_allclose(10 * large, small, rtol=1e-9)


def test_without_a_small_eigenvalue_there_is_no_room():
    with pytest.raises(RequestRefused, match="no direction free") as refused:
        NullSpace(np.eye(4), 0.5)
    assert "nullspace_threshold" in refused.value.hint


def test_each_update_is_the_formula_with_the_keys_of_earlier_batches(every, store):
    """Kₚ are the keys of the batches before, and none but those."""
    found = edit(every, store, MARIE, ACTOR, PISA, batch_size=2)
    for layer in LAYERS:
        name = every.tensor_name(layer)
        keys = found.auxiliary[f"{name}::aux.keys"].astype(np.float64).T
        residuals = found.auxiliary[f"{name}::aux.residuals"].astype(np.float64).T
        moment = store.second_moments(every, [layer], 500)[layer].matrix.astype(np.float64)
        for number, batch in enumerate((slice(0, 2), slice(2, 3))):
            rows = dense(moment, 0.5, 0.01, keys[:, : batch.start], keys[:, batch])
            expected = residuals[:, batch] @ rows
            if every.architecture.transposed:
                expected = expected.T
            operation = found.operations[name][number]
            delta = operation.rows(0, operation.shape[0])
            np.testing.assert_allclose(delta, expected, rtol=1e-4, atol=1e-5)


def test_nothing_is_remembered_from_one_edit_to_the_next(llama, store):
    first = edit(llama, store, ACTOR)
    edit(llama, store, MARIE, PISA, batch_size=1)
    again = edit(llama, store, ACTOR)
    for name, (operation,) in first.operations.items():
        np.testing.assert_array_equal(operation.rows(0, 32), again.operations[name][0].rows(0, 32))


@pytest.mark.parametrize(
    "changes",
    [
        {"nullspace_threshold": 0.0},
        {"nullspace_threshold": math.inf},
        {"ridge": 0.0},
        {"ridge": math.nan},
    ],
)
def test_hyperparameters_out_of_range_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(RequestRefused, match=name):
        replace(SETTINGS, **changes)
