"""The joint re-solve: what the closed form of EMMET gives, and better than the sum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pico_fixtures import stored
from weightpatch.patches.composition.keyed import KeyedEdit
from weightpatch.patches.composition.solving import solve
from weightpatch.patches.errors import (
    ConflictFound,
    NonFinite,
    RequestRefused,
    ShapeMismatch,
    Unsupported,
)
from weightpatch.patches.operations.lowrank import LowRank

OUT, IN = 6, 10


def metric(seed: int = 0, size: int = IN) -> np.ndarray:
    sample = np.random.default_rng(seed).standard_normal((size, 4 * size))
    return sample @ sample.T / sample.shape[1] + 0.1 * np.eye(size)


def keys_of(count: int, *, related: float = 0.9, seed: int = 1, size: int = IN) -> np.ndarray:
    """Keys that have much in common."""
    random = np.random.default_rng(seed)
    return related * random.standard_normal(size) + random.standard_normal((count, size))


def rome(key: np.ndarray, residual: np.ndarray, covariance: np.ndarray) -> LowRank:
    u = np.linalg.solve(covariance, key)
    return LowRank.snapped(residual[:, None], (u / (u @ key))[None])


def rome_patch(pico, base, name, key, residual, *, covariance=None, tensor=None, turned=False):
    covariance = metric(size=len(key)) if covariance is None else covariance
    operation = rome(key, residual, covariance)
    if turned:
        operation = LowRank.snapped(operation.b.T, operation.a.T)
    tensor = tensor or pico.DOWN
    return pico.patch(
        base,
        name,
        operations={tensor: [operation]},
        auxiliary={
            f"{tensor}::aux.keys": key[None].astype(np.float32),
            f"{tensor}::aux.residuals": residual[None].astype(np.float32),
        },
    )


@pytest.fixture
def related(pico):
    """A base, three ROME edits of it with related keys, their keys and residuals."""
    base = pico.base()
    keys = keys_of(3)
    residuals = np.random.default_rng(2).standard_normal((3, OUT))
    patches = [
        rome_patch(pico, base, f"acme/p{i}", key, residual)
        for i, (key, residual) in enumerate(zip(keys, residuals, strict=True))
    ]
    return base, patches, keys, residuals


def dense(patch, tensor):
    return sum(each.rows(0, each.shape[0]) for each in patch.operations[tensor])


def test_it_is_the_closed_form_of_emmet(pico, related, blended):
    """Δ = T (Kᵀ C⁻¹ K)⁻¹ Kᵀ C⁻¹, with the metric that ROME used and the registry does not know."""
    base, patches, keys, residuals = related
    found = blended(base, patches, merge="resolve", settings={"ridge": "0"})
    white = np.linalg.solve(metric(), keys.T)
    expected = residuals.T @ np.linalg.solve(keys @ white, white.T)
    np.testing.assert_allclose(dense(found, pico.DOWN), expected, rtol=1e-5, atol=1e-5)


def test_each_key_gets_its_value_where_the_sum_misses_it(pico, related, blended):
    base, patches, keys, residuals = related
    sizes = np.linalg.norm(residuals, axis=1)
    solved, added = (
        np.linalg.norm(keys @ dense(patch, pico.DOWN).T - residuals, axis=1) / sizes
        for patch in (
            blended(base, patches, merge="resolve"),
            blended(base, patches, "acme/sum"),
        )
    )
    assert added.max() > 0.3
    assert solved.max() < 1e-3


def test_the_manifest_says_how_well_it_went(pico, related, blended):
    base, patches, _, _ = related
    found = blended(base, patches, merge="resolve").manifest.method
    assert found.hyperparameters["merge"] == "resolve"
    assert found.hyperparameters["ridge"] == 1e-6
    (report,) = found.sampled["solved"].values()
    assert report["keys"] == report["rank"] == 3
    assert report["miss"] < 1e-3 < 0.3 < report["miss_of_sum"]
    assert 1 < report["condition"] < 1e4


def test_keys_that_one_another_do_not_touch_are_left_to_the_sum(pico, blended):
    base = pico.base()
    eye = np.eye(IN)
    residuals = np.random.default_rng(3).standard_normal((2, OUT))
    patches = [
        rome_patch(pico, base, f"acme/p{i}", eye[i], residuals[i], covariance=eye) for i in (0, 1)
    ]
    solved = blended(base, patches, merge="resolve")
    np.testing.assert_allclose(
        dense(solved, pico.DOWN), dense(blended(base, patches, "acme/sum"), pico.DOWN), atol=1e-6
    )


def test_a_tensor_that_one_member_changes_keeps_its_part(pico, related, blended):
    base, patches, _, _ = related
    other = rome_patch(pico, base, "acme/up", np.ones(6), np.ones(10), tensor=pico.UP)
    found = blended(base, [*patches, other], merge="resolve")
    (record,) = found.manifest.operations[pico.UP]
    assert record.source == other.manifest.files["delta.safetensors"].sha256
    assert np.array_equal(dense(found, pico.UP), dense(other, pico.UP))


def test_the_order_of_naming_does_not_matter(pico, related, blended):
    base, patches, _, _ = related
    one, other = (
        blended(base, order, name, merge="resolve")
        for name, order in (("acme/a", patches), ("acme/b", patches[::-1]))
    )
    assert one.manifest.bases[0].result == other.manifest.bases[0].result


@pytest.mark.parametrize("turned", [False, True])
def test_square_weights_stored_either_way_round_are_told_apart(pico, blended, turned):
    square = np.random.default_rng(0).standard_normal((8, 8)).astype("<f4")
    base = pico.base_of({"w": square})
    keys = keys_of(2, size=8)
    residuals = np.random.default_rng(4).standard_normal((2, 8))
    patches = [
        rome_patch(pico, base, f"acme/p{i}", keys[i], residuals[i], tensor="w", turned=turned)
        for i in (0, 1)
    ]
    delta = dense(blended(base, patches, merge="resolve"), "w")
    found = keys @ (delta if turned else delta.T)
    np.testing.assert_allclose(found, residuals, atol=1e-3)


def test_a_weight_stored_the_other_way_round_is_told_by_its_shape(pico, blended):
    """[in, out] = [10, 6], as GPT-2 stores it."""
    base = pico.base()
    keys, residuals = keys_of(2), np.random.default_rng(4).standard_normal((2, OUT))
    patches = [
        rome_patch(pico, base, f"acme/p{i}", keys[i], residuals[i], tensor=pico.UP, turned=True)
        for i in (0, 1)
    ]
    delta = dense(blended(base, patches, merge="resolve"), pico.UP)
    np.testing.assert_allclose(keys @ delta, residuals, atol=1e-3)


def test_keys_that_no_direction_reads_are_not_solved_for(pico, blended):
    """Neither edit moves its own key much: nothing tells the keys apart within what is read."""
    base = pico.base()
    eye = np.eye(IN)
    patches = [
        pico.patch(
            base,
            f"acme/p{i}",
            operations={pico.DOWN: [LowRank.snapped(np.ones((OUT, 1)), eye[[5]])]},
            auxiliary={
                f"{pico.DOWN}::aux.keys": (eye[[i]] + (1 + i) * eye[[5]]).astype("<f4"),
                f"{pico.DOWN}::aux.residuals": np.full((1, OUT), 1 - 3 * i, "<f4"),
            },
        )
        for i in (0, 1)
    ]
    with pytest.raises(ConflictFound, match="cannot be solved for together") as refused:
        blended(base, patches, merge="resolve", settings={"values": "residuals"})
    assert "do not tell their keys apart" in refused.value.why


def test_a_sum_is_solved_again_from_the_residuals_that_it_kept(pico, related, blended):
    base, patches, keys, residuals = related
    added = blended(base, patches, "acme/sum")
    again = blended(base, [added], merge="resolve", settings={"values": "residuals"})
    np.testing.assert_allclose(keys @ dense(again, pico.DOWN).T, residuals, atol=1e-3)


def test_what_was_solved_can_be_solved_again_with_another(pico, related, blended):
    base, patches, keys, residuals = related
    together = blended(base, patches, "acme/together", merge="resolve")
    some = blended(base, patches[:2], "acme/some", merge="resolve")
    in_steps = blended(base, [some, patches[2]], "acme/steps", merge="resolve")
    for patch in (together, in_steps):
        np.testing.assert_allclose(keys @ dense(patch, pico.DOWN).T, residuals, atol=1e-3)
    assert in_steps.auxiliary[f"{pico.DOWN}::aux.keys"].shape == (3, IN)


def test_two_answers_at_one_key_are_a_contradiction_that_is_named(pico, blended):
    base = pico.base()
    key = keys_of(1)[0]
    patches = [
        rome_patch(pico, base, name, key * factor, value)
        for name, factor, value in (
            ("acme/lyon", 1.0, np.ones(OUT)),
            ("acme/nice", 1.001, -np.ones(OUT)),
        )
    ]
    with pytest.raises(ConflictFound, match="contradict each other") as refused:
        blended(base, patches, merge="resolve")
    assert {"acme/lyon@1", "acme/nice@1"} <= set(refused.value.message.split())
    assert "cosine 1.0000" in refused.value.why
    compromise = blended(base, patches, "acme/mean", merge="resolve", settings={"tolerance": "9"})
    moved = dense(compromise, pico.DOWN) @ key
    assert np.abs(moved).max() < 0.01


def test_the_same_edit_twice_is_made_once(pico, blended):
    base = pico.base()
    key, value = keys_of(1)[0], np.ones(OUT)
    patches = [rome_patch(pico, base, f"acme/p{i}", key * (1 + i), value * (1 + i)) for i in (0, 1)]
    found = blended(base, patches, merge="resolve")
    np.testing.assert_allclose(dense(found, pico.DOWN) @ key, value, atol=1e-4)
    (report,) = found.manifest.method.sampled["solved"].values()
    assert report["condition"] is None


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_keys_of_other_types_are_read_as_the_numbers_that_they_are(pico, blended, dtype):
    """Small whole numbers, which every type holds."""
    base = pico.base()
    keys = np.array([[1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [1, -1, 2, 0, 0, 1, 0, 0, 0, 1]], np.float32)
    residuals = np.array([[1, 2, 3, 4, 5, 6], [6, 5, -4, 3, 2, 1]], np.float32)
    patches = [
        pico.patch(
            base,
            f"acme/p{i}",
            operations={
                pico.DOWN: [LowRank.snapped(residuals[[i]].T, keys[[i]] / (keys[i] @ keys[i]))]
            },
            auxiliary={
                f"{pico.DOWN}::aux.keys": stored(keys[[i]], dtype),
                f"{pico.DOWN}::aux.residuals": stored(residuals[[i]], dtype),
            },
        )
        for i in (0, 1)
    ]
    delta = dense(blended(base, patches, merge="resolve"), pico.DOWN)
    np.testing.assert_allclose(keys @ delta.T, residuals, atol=1e-3)


def test_values_that_become_infinite_are_refused_without_a_warning(pico, blended):
    base = pico.base()
    operations = {pico.DOWN: [LowRank.snapped(np.full((OUT, 1), 1e3), np.ones((1, IN)))]}
    kept = {
        f"{pico.DOWN}::aux.keys": np.full((1, IN), 3e38, np.float32),
        f"{pico.DOWN}::aux.residuals": np.ones((1, OUT), np.float32),
    }
    patch = pico.patch(base, operations=operations, auxiliary=kept)
    with pytest.raises(NonFinite, match="residuals does not fit float32"):
        blended(base, [patch], merge="resolve")


def test_a_member_without_keys_is_named(pico, related, blended):
    base, patches, _, _ = related
    other = pico.patch(base, "acme/lora")
    with pytest.raises(Unsupported, match=r"acme/lora@1 keeps no keys for .*down_proj"):
        blended(base, [*patches, other], merge="resolve")


def test_parts_that_are_not_low_rank_are_refused(pico, related, blended):
    base, patches, _, _ = related
    other = pico.patch(base, "acme/dense", operations={pico.DOWN: [pico.dense((OUT, IN))]})
    with pytest.raises(Unsupported, match="more than low-rank parts"):
        blended(base, [*patches, other], merge="resolve")


@pytest.mark.parametrize(
    ("keys", "residuals"), [((1, 9), (1, 6)), ((2, 10), (1, 6)), ((10,), (6,))]
)
def test_keys_that_do_not_fit_are_refused(pico, related, blended, keys, residuals):
    base, patches, _, _ = related
    names = {f"{pico.DOWN}::aux.keys": keys, f"{pico.DOWN}::aux.residuals": residuals}
    other = pico.patch(
        base, "acme/odd", auxiliary={name: np.ones(each, "<f4") for name, each in names.items()}
    )
    with pytest.raises(ShapeMismatch):
        blended(base, [patches[0], other], merge="resolve")


def test_keys_of_another_length_than_the_tensor_reads_are_refused(pico, blended):
    base = pico.base()
    names = {f"{pico.DOWN}::aux.keys": (1, 9), f"{pico.DOWN}::aux.residuals": (1, 6)}
    kept = {name: np.ones(shape, "<f4") for name, shape in names.items()}
    patches = [pico.patch(base, f"acme/p{i}", auxiliary=kept, seed=i) for i in (0, 1)]
    with pytest.raises(ShapeMismatch, match="do not fit it"):
        blended(base, patches, merge="resolve")


def test_weights_are_refused(related, blended):
    base, patches, _, _ = related
    with pytest.raises(RequestRefused, match="takes no weights"):
        blended(base, patches, merge="resolve", weights=(1, 2, 1))


@pytest.mark.parametrize(
    "wrong", [{"ridge": "-1"}, {"ridge": "nan"}, {"tolerance": "0"}, {"values": "x"}, {"x": "1"}]
)
def test_settings_out_of_range_are_refused(related, blended, wrong):
    base, patches, _, _ = related
    with pytest.raises(RequestRefused):
        blended(base, patches, merge="resolve", settings=wrong)


def edits_of(random, members: int, count: int, rank: int) -> list[KeyedEdit]:
    return [
        KeyedEdit(
            f"p{number}",
            random.standard_normal((5, rank)),
            random.standard_normal((rank, 30)),
            random.standard_normal((count, 30)),
            random.standard_normal((count, 5)),
        )
        for number in range(members)
    ]


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_among_all_that_fit_it_is_the_one_nearest_to_the_sum(seed, members, count, more):
    """The Moore-Penrose solution of the correction, written down with pinv."""
    edits = edits_of(np.random.default_rng(seed), members, count, count + more)
    found = solve(edits, ridge=0.0, by_residuals=True)
    total = sum(edit.a @ edit.b for edit in edits)
    rows = np.concatenate([edit.b for edit in edits])
    inside = np.linalg.pinv(rows) @ rows
    keys = np.concatenate([edit.keys for edit in edits])
    wanted = np.concatenate([edit.residuals for edit in edits])
    expected = total + (wanted - keys @ total.T).T @ np.linalg.pinv(inside @ keys.T)
    np.testing.assert_allclose(found.a @ found.b, expected, rtol=1e-4, atol=1e-4)
    assert found.misses.max() < 1e-5


def test_a_ridge_draws_the_solution_to_the_sum():
    edits = edits_of(np.random.default_rng(0), 3, 2, 2)
    total = sum(edit.a @ edit.b for edit in edits)
    away = [
        np.linalg.norm((s := solve(edits, ridge=ridge, by_residuals=True)).a @ s.b - total)
        for ridge in (0.0, 0.1, 1.0, 1e6)
    ]
    assert away == sorted(away, reverse=True)
    assert away[-1] < 1e-4
