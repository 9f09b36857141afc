"""TIES: trim, elect, merge, as algorithm 1 of the paper has it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weightpatch.patches.composition import scratch
from weightpatch.patches.composition.deltas import Delta, Deltas
from weightpatch.patches.composition.ties import TiesSettings, merged_rows
from weightpatch.patches.composition.trimming import count_kept, trim
from weightpatch.patches.errors import ConflictFound, RequestRefused, Unsupported
from weightpatch.patches.operations.dense import Dense


def reference(taus: list[np.ndarray], density: float, scale: float) -> np.ndarray:
    """Algorithm 1 on whole vectors; of equal magnitudes the first are kept."""
    trimmed = []
    for tau in taus:
        flat = tau.reshape(-1)
        kept = np.argsort(-np.abs(flat), kind="stable")[: max(1, round(density * flat.size))]
        trimmed.append(np.zeros(flat.size))
        trimmed[-1][kept] = flat[kept]
    stack = np.array(trimmed)
    elected = np.sign(stack.sum(axis=0))
    agrees = (np.sign(stack) == elected) & (stack != 0)
    total = np.where(agrees, stack, 0).sum(axis=0)
    return (scale * total / np.maximum(agrees.sum(axis=0), 1)).reshape(taus[0].shape)


def merged(taus, density=0.2, scale=1.0):
    terms = [Delta(None, 1.0, [Dense(tau.astype(np.float32))]) for tau in taus]
    found = Deltas("w", taus[0].shape, terms)
    return np.concatenate(list(merged_rows(found, TiesSettings(density=density, scale=scale))))


whole = st.integers(-5, 5).map(float)
shapes = st.tuples(st.integers(1, 7), st.integers(1, 5))


@st.composite
def task_vectors(draw: st.DrawFn) -> list[np.ndarray]:
    """Small whole numbers, so that there are many ties, and no sum is rounded."""
    shape = draw(shapes)
    size = shape[0] * shape[1]
    lists = st.lists(whole, min_size=size, max_size=size)
    return [np.array(draw(lists)).reshape(shape) for _ in range(draw(st.integers(1, 4)))]


@given(task_vectors(), st.sampled_from([0.125, 0.25, 0.5, 0.75, 1.0]), st.sampled_from([0.5, 1, 2]))
@settings(max_examples=200, deadline=None)
def test_it_is_the_algorithm_of_the_paper(taus, density, scale):
    count = count_kept(taus[0].shape, density)
    exact = count / taus[0].size
    found = merged(taus, density, scale)
    np.testing.assert_allclose(found, reference(taus, exact, scale), rtol=2**-23)


@given(st.integers(0, 2**32), st.integers(1, 3), st.sampled_from([0.1, 0.2, 0.9]))
@settings(max_examples=30, deadline=None)
def test_it_does_not_depend_on_the_blocks(seed, rows, density):
    random = np.random.default_rng(seed)
    taus = [random.standard_normal((9, 4)).astype(np.float32) for _ in range(3)]
    taus[1][2:5] = taus[1][1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weightpatch.patches.composition.deltas.AT_ONCE", 4 * rows)
        found = merged(taus, density)
    assert np.array_equal(found, merged(taus, density))


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=60),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_exactly_the_largest_are_kept(numbers, data):
    """Also subnormal numbers, both zeros and the largest there are."""
    values = np.array(numbers, np.float32)[:, None]
    count = data.draw(st.integers(1, len(values)))
    delta = Delta(None, 1.0, [Dense(values)])
    blocks = [slice(start, min(start + 7, len(values))) for start in range(0, len(values), 7)]
    trimming = trim(delta, blocks, count)
    found = np.concatenate([trimming.trimmed(values[rows]) for rows in blocks])
    expected = np.zeros_like(values)
    kept = np.argsort(-np.abs(values[:, 0]), kind="stable")[:count]
    expected[kept] = values[kept]
    assert np.array_equal(found, expected)


@pytest.fixture
def members(pico):
    base = pico.base("base", dtype="F32")
    return base, [
        pico.patch(base, "acme/low", operations={
            pico.DOWN: [pico.lowrank((6, 10), rank=2), pico.lowrank((6, 10), seed=9)]}),
        pico.patch(base, "acme/dense", operations={
            pico.DOWN: [pico.dense((6, 10), seed=2)], pico.UP: [pico.dense((10, 6))]}),
        pico.patch(base, "acme/few", operations={pico.DOWN: [pico.sparse((6, 10), seed=3)]}),
    ]  # fmt: skip


def in_order(patches):
    return sorted(patches, key=lambda patch: patch.digest)


def test_patches_of_every_kind_are_merged(pico, members, blended):
    base, patches = members
    found = blended(base, patches, merge="ties", settings={"density": "0.3", "scale": "1.5"})
    taus = [
        sum(each.rows(0, 6) for each in patch.operations[pico.DOWN]).astype(np.float32)
        for patch in in_order(patches)
    ]
    (operation,) = found.operations[pico.DOWN]
    np.testing.assert_allclose(operation.rows(0, 6), reference(taus, 0.3, 1.5), rtol=1e-6)


def test_a_weight_counts_before_the_trimming(pico, members, blended):
    base, patches = members
    weights = {patch.digest: weight for patch, weight in zip(patches, (2, -1, 0.5), strict=True)}
    found = blended(base, patches, merge="ties", weights=list(weights.values()))
    taus = [
        weights[patch.digest] * sum(each.rows(0, 6) for each in patch.operations[pico.DOWN])
        for patch in in_order(patches)
    ]
    (operation,) = found.operations[pico.DOWN]
    np.testing.assert_allclose(operation.rows(0, 6), reference(taus, 0.2, 1.0), rtol=1e-6)


def test_few_entries_are_stored_as_a_list_and_many_as_they_are(pico, members, blended):
    base, patches = members
    kinds = {
        density: blended(base, patches, f"acme/m{n}", merge="ties", settings={"density": density})
        .operations[pico.DOWN][0]
        .kind
        for n, density in enumerate(("0.05", "1"))
    }
    assert kinds == {"0.05": "sparse", "1": "dense"}


def test_the_order_of_naming_does_not_matter(members, blended):
    base, patches = members
    one, other = (
        blended(base, order, name, merge="ties")
        for name, order in (("acme/a", patches), ("acme/b", patches[::-1]))
    )
    assert (
        one.files["delta.safetensors"].read_bytes() == other.files["delta.safetensors"].read_bytes()
    )


def test_nothing_is_left_in_the_folder_beside(pico, members, blended):
    base, patches = members
    before = sorted(pico.root.iterdir())
    blended(base, patches, merge="ties")
    assert set(pico.root.iterdir()) - set(before) == {pico.root / "acme-merged"}


def test_what_cannot_be_added_is_refused(pico, members, blended):
    base, patches = members
    other = pico.patch(base, "acme/new", operations={pico.NORM: [pico.replaced((6,))]})
    with pytest.raises(Unsupported, match=r"acme/new@1 changes model\.norm\.weight by replace"):
        blended(base, [*patches, other], merge="ties")


def test_the_same_delta_twice_is_refused(members, blended):
    base, patches = members
    with pytest.raises(ConflictFound, match="same delta"):
        blended(base, [patches[0], patches[0]], merge="ties")


@pytest.mark.parametrize(
    "wrong", [{"density": "0"}, {"density": "1.1"}, {"density": "nan"}, {"scale": "0"}, {"k": "1"}]
)
def test_settings_out_of_range_are_refused(members, blended, wrong):
    base, patches = members
    with pytest.raises(RequestRefused):
        blended(base, patches, merge="ties", settings=wrong)


def test_deltas_that_cancel_leave_nothing_and_that_is_said(pico, blended):
    base = pico.base()
    one = np.ones((6, 10), np.float32)
    patches = [
        pico.patch(base, f"acme/p{n}", operations={pico.DOWN: [Dense(sign * one)]})
        for n, sign in enumerate((1, -1))
    ]
    with pytest.raises(RequestRefused, match="nothing is left"):
        blended(base, patches, merge="ties", settings={"density": "1"})


def test_indices_go_on_where_a_block_ends(pico, members, blended, monkeypatch):
    base, patches = members
    expected = blended(base, patches, merge="ties").operations[pico.DOWN][0].rows(0, 6)
    monkeypatch.setattr(scratch, "AT_ONCE", 7)
    found = blended(base, patches, "acme/again", merge="ties")
    assert np.array_equal(found.operations[pico.DOWN][0].rows(0, 6), expected)
