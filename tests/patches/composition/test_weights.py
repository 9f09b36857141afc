"""Task arithmetic: each delta times its weight."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pico_fixtures import Pico
from weightpatch.patches.composition.compose import Blend, compose
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import NonFinite, RequestRefused, Unsupported
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.entries import Entries
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.operations.sparse import Sparse


def delta_of(patch, tensor) -> np.ndarray:
    """The dense delta, from the stored parts and not from the code of the operations."""
    total = 0.0
    for each in patch.operations[tensor]:
        parts = {name: part[:] for name, part in each.parts.items()}
        if each.kind == "lowrank":
            found = parts["A"].astype(np.float64) @ parts["B"].astype(np.float64)
        elif each.kind == "dense":
            found = parts["delta"].astype(np.float64)
        else:
            found = np.zeros(int(np.prod(each.shape)))
            found[parts["indices"]] = parts["values"]
        total = total + found.reshape(each.shape)
    return total


def members(pico, base):
    return [
        pico.patch(base, "acme/low", operations={pico.DOWN: [pico.lowrank((6, 10), rank=2)]}),
        pico.patch(base, "acme/dense", operations={pico.DOWN: [pico.dense((6, 10), seed=2)]}),
        pico.patch(base, "acme/few", operations={pico.DOWN: [pico.sparse((6, 10), seed=3)]}),
    ]


@pytest.mark.parametrize("weights", [(0.5, 1.0, -2.0), (0.3, -0.7, 1e-3), (3.0, 1.0, 1.0)])
def test_each_delta_is_multiplied_by_its_weight(pico, blended, weights):
    base = pico.base()
    patches = members(pico, base)
    found = delta_of(blended(base, patches, weights=weights), pico.DOWN)
    expected = sum(w * delta_of(p, pico.DOWN) for w, p in zip(weights, patches, strict=True))
    np.testing.assert_allclose(found, expected, rtol=2**-18, atol=2**-18)


def test_weights_go_with_the_names_and_not_with_the_places(pico, blended):
    base = pico.base()
    patches = members(pico, base)
    results = set()
    for number, order in enumerate(((0, 1, 2), (2, 0, 1), (1, 2, 0))):
        named, weights = [patches[i] for i in order], [(1, 2, 3)[i] for i in order]
        found = blended(base, named, f"acme/m{number}", weights=weights)
        results.add(found.files["delta.safetensors"].read_bytes())
    assert len(results) == 1


def test_weights_of_one_are_the_exact_sum(pico, blended):
    base = pico.base()
    patches = members(pico, base)
    one = blended(base, patches, weights=(1, 1, 1))
    other = blended(base, patches, "acme/sum")
    assert one.manifest.operations == other.manifest.operations
    assert one.manifest.bases == other.manifest.bases


@given(st.sampled_from([-4.0, -1.0, -0.5, 0.25, 2.0, 8.0]), st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_a_power_of_two_changes_no_digit(tmp_path_factory, weight: float, seed: int):
    pico = Pico(tmp_path_factory.mktemp("pico"))
    base = pico.base()
    operations = {pico.DOWN: [pico.lowrank((6, 10), rank=3, seed=seed)]}
    patch = pico.patch(base, operations=operations)
    folder = pico.root / "scaled"
    folder.mkdir()
    origin = Origin("acme/scaled", author="ada", created="2026-01-31T12:00:00Z")
    found = compose(base, [patch], folder, origin, {"weightpatch": "0"}, Blend(weights=[weight]))
    (scaled,) = found.as_patch().operations[pico.DOWN]
    (whole,) = patch.operations[pico.DOWN]
    assert np.array_equal(scaled.a[:], whole.a[:] * weight)
    assert np.array_equal(scaled.b[:], whole.b[:])


def test_a_patch_is_taken_away_by_a_negative_weight(pico, blended):
    base = pico.base()
    patch = pico.patch(base)
    gone = blended(base, [patch], weights=(-1,))
    assert np.array_equal(delta_of(gone, pico.DOWN), -delta_of(patch, pico.DOWN))


def test_the_manifest_names_members_and_weights_in_one_order(pico, blended):
    base = pico.base()
    patches = members(pico, base)
    found = blended(base, patches, weights=(0.5, 2, -1)).manifest
    by_label = dict(zip((patch.label for patch in patches), (0.5, 2, -1), strict=True))
    told = found.method.hyperparameters
    assert dict(zip(told["members"], told["weights"], strict=True)) == by_label
    digests = {patch.label: patch.digest for patch in patches}
    assert [digests[label] for label in told["members"]] == list(found.parents)


def test_residuals_are_weighted_and_keys_are_not(pico, blended):
    base = pico.base()
    names = (f"{pico.DOWN}::aux.keys", f"{pico.DOWN}::aux.residuals")
    kept = {name: np.ones((1, size), np.float32) for name, size in zip(names, (10, 6), strict=True)}
    patches = [pico.patch(base, f"acme/p{i}", auxiliary=kept, seed=i) for i in (0, 1)]
    found = blended(base, patches, weights=(0.5, 3)).auxiliary
    assert (found[names[0]] == 1).all()
    assert sorted(found[names[1]][:, 0]) == [0.5, 3]


def test_new_values_take_no_weight_but_one(pico, blended):
    base = pico.base()
    replaced = pico.patch(base, "acme/new", operations={pico.NORM: [pico.replaced((6,))]})
    other = pico.patch(base)
    kept = blended(base, [replaced, other], weights=(1, 0.5))
    assert [each.kind for each in kept.operations[pico.NORM]] == ["replace"]
    with pytest.raises(Unsupported, match=r"acme/new@1 on model\.norm\.weight is a replace"):
        blended(base, [replaced, other], "acme/no", weights=(0.5, 1))


@pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_weight_is_refused(pico, blended, weight):
    base = pico.base()
    with pytest.raises(RequestRefused, match="a weight cannot be"):
        blended(base, members(pico, base), weights=(1, weight, 1))


def test_there_is_a_weight_for_each_member(pico, blended):
    base = pico.base()
    with pytest.raises(RequestRefused, match="2 weights for 3 versions"):
        blended(base, members(pico, base), weights=(1, 2))


def test_a_sum_that_float32_cannot_hold_is_refused(pico, blended):
    base = pico.base()
    large = {pico.DOWN: [Dense(np.full((6, 10), 1e3, np.float32))]}
    with pytest.raises(NonFinite, match="does not fit float32"):
        blended(base, [pico.patch(base, operations=large)], weights=(1e37,))


@pytest.mark.parametrize("operation", ["lowrank", "dense", "sparse"])
def test_a_weight_so_small_that_nothing_is_left_is_refused(pico, blended, operation):
    base = pico.base()
    patch = pico.patch(base, operations={pico.DOWN: [getattr(pico, operation)((6, 10))]})
    with pytest.raises(RequestRefused, match="nothing is left of the members"):
        blended(base, [patch], weights=(1e-320,))


def test_new_values_of_zero_are_something(pico, blended):
    base = pico.base()
    zeros = Replace(np.zeros(6, np.float32), None, (6,))
    some = pico.patch(base, "acme/zero", operations={pico.NORM: [zeros]})
    vanishing = pico.patch(base)
    found = blended(base, [some, vanishing], weights=(1, 1e-320))
    assert found.operations[pico.NORM]


@pytest.mark.parametrize("operation", ["lowrank", "dense", "sparse"])
@pytest.mark.parametrize("options", [{}, {"merge": "ties"}, {"merge": "dare"}])
def test_a_weight_too_large_for_any_number_is_refused_without_a_warning(
    pico, blended, operation, options
):
    base = pico.base()
    patches = [
        pico.patch(base, name, operations={pico.DOWN: [large(pico, operation, sign)]})
        for name, sign in (("acme/one", 1.0), ("acme/two", -1.0))
    ]
    drop = {"settings": {"drop": "0"}} if options.get("merge") == "dare" else {}
    with pytest.raises(NonFinite):
        blended(base, patches, weights=(1.7e308, 1.7e308), **options, **drop)


def large(pico, operation, sign):
    """An operation with entries above 1."""
    if operation == "lowrank":
        return LowRank.snapped(np.full((6, 1), 9 * sign), np.ones((1, 10)))
    if operation == "dense":
        return Dense(np.full((6, 10), 9 * sign, np.float32))
    values = np.full(4, 9 * sign, np.float32)
    return Sparse(Entries(np.arange(4, dtype="<i4"), values), (6, 10))


def test_sums_that_float64_cannot_hold_are_refused_without_a_warning(pico, blended):
    base = pico.base()
    operations = {pico.DOWN: [Dense(np.ones((6, 10), np.float32))]}
    more = {pico.DOWN: [Dense(np.full((6, 10), 1.01, np.float32))]}
    patches = [
        pico.patch(base, "acme/one", operations=operations),
        pico.patch(base, "acme/two", operations=more),
    ]
    with pytest.raises(NonFinite):
        blended(base, patches, weights=(1.7e308, 1.7e308), merge="dare", settings={"drop": "0"})


def test_residuals_that_a_weight_makes_infinite_are_refused_without_a_warning(pico, blended):
    base = pico.base()
    name = f"{pico.DOWN}::aux.residuals"
    patch = pico.patch(base, auxiliary={name: np.full((1, 6), 3e38, np.float32)})
    with pytest.raises(NonFinite, match="residuals does not fit float32"):
        blended(base, [patch], weights=(2,))
