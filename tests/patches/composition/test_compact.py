"""Compacting: fewer factors, not one bit of the result changed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pico_fixtures import Pico
from weightpatch.patches.composition.compact import compacted, spanned
from weightpatch.patches.draft import own_terms
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.sparse import Sparse
from weightpatch.patches.progress import silent
from weightpatch.patches.summation import patched

OUT, IN = 24, 40


def base_of(pico, dtype: str):
    values = np.random.default_rng(0).standard_normal((OUT, IN)).astype("<f4")
    bits = (values.view("<u4") >> 16).astype("<u2") if dtype == "BF16" else values
    return pico.base_of({"w": bits})


def edits(
    count: int, rank: int, *, size: float = 0.05, seed: int = 1, mixed: bool = True
) -> list[LowRank]:
    """Rank-one edits that read `rank` directions: one of them each, or each a mixture of all."""
    random = np.random.default_rng(seed)
    directions = random.standard_normal((rank, IN)) / np.sqrt(IN)
    weights = random.standard_normal((count, rank)) if mixed else np.eye(rank)
    return [
        LowRank.snapped(
            size * random.standard_normal((OUT, 1)), weights[[n % len(weights)]] @ directions
        )
        for n in range(count)
    ]


def patches(pico, base, count: int, rank: int, **options):
    return [
        pico.patch(base, f"acme/p{number}", operations={"w": [operation]})
        for number, operation in enumerate(edits(count, rank, **options))
    ]


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_many_edits_of_few_directions_take_few_factors(pico, blended, dtype):
    """On bfloat16 as many as there are directions; on float32 what the grid left of them too.

    Mixtures of directions were rounded to the grid each by itself, which float32 shows.
    """
    base = base_of(pico, dtype)
    members = patches(pico, base, 20, 3, mixed=dtype == "BF16")
    whole = blended(base, members, "acme/whole")
    small = blended(base, members, "acme/small", compact=True)
    assert small.manifest.bases[0].result == whole.manifest.bases[0].result
    report = small.manifest.method.sampled["compacted"]["w"]
    assert report["rank_before"] == report["parts"] == 20
    assert report["rank"] == {"BF16": 3, "F32": 9}[dtype]
    assert sum(each.size for each in small.operations["w"]) == report["rank"]
    assert report["nbytes"] * 20 == report["nbytes_before"] * report["rank"]
    sizes = [patch.manifest.files["delta.safetensors"].size for patch in (small, whole)]
    assert sizes[0] < sizes[1] / 2


def test_parts_that_share_nothing_are_left_as_they_are(pico, blended):
    base = base_of(pico, "F32")
    members = patches(pico, base, 3, 8)
    found = blended(base, members, compact=True)
    report = found.manifest.method.sampled["compacted"]["w"]
    assert report["rank"] == report["rank_before"] == 3
    assert report["nbytes"] == report["nbytes_before"]
    sources = {record.source for record in found.manifest.operations["w"]}
    assert sources == {patch.manifest.files["delta.safetensors"].sha256 for patch in members}


def test_what_rounding_hides_is_left_out(pico, blended):
    """A part far below half a unit in the last place of every weight costs no factor."""
    base = base_of(pico, "BF16")
    members = [
        *patches(pico, base, 2, 1),
        pico.patch(base, "acme/tiny", operations={"w": edits(1, 1, size=1e-12, seed=9)}),
    ]
    report = blended(base, members, compact=True).manifest.method.sampled["compacted"]["w"]
    assert (report["rank_before"], report["rank"]) == (3, 1)


def test_other_parts_stay_beside_the_merged_one(pico, blended):
    base = base_of(pico, "BF16")
    few = {"indices": np.array([3, 9], "<i4"), "values": np.array([1, -1], "<f4")}
    members = [
        *patches(pico, base, 6, 1),
        pico.patch(base, "acme/few", operations={"w": [Sparse.read(few, (OUT, IN))]}),
    ]
    small = blended(base, members, "acme/small", compact=True)
    whole = blended(base, members, "acme/whole")
    assert [each.kind for each in small.operations["w"]] == ["lowrank", "sparse"]
    assert small.manifest.bases[0].result == whole.manifest.bases[0].result


def test_what_is_compacted_applies_with_the_same_digests(pico, blended):
    base = base_of(pico, "BF16")
    small = blended(base, patches(pico, base, 8, 2), compact=True)
    build = pico.built(base, [small])
    found = type(base).open(build).digests()
    assert found["w"] == small.manifest.bases[0].result["w"]


def test_a_composition_can_be_compacted_afterwards(pico, blended):
    base = base_of(pico, "BF16")
    whole = blended(base, patches(pico, base, 8, 2), "acme/whole")
    small = blended(base, [whole], compact=True)
    assert small.manifest.bases[0].result == whole.manifest.bases[0].result
    assert small.manifest.parents == (whole.digest,)


def test_a_weighted_sum_is_compacted_to_itself(pico, blended):
    base = base_of(pico, "BF16")
    members, weights = patches(pico, base, 8, 2), [0.5, 1, -1, 2, 0.25, 1, 1, 3]
    whole = blended(base, members, "acme/whole", weights=weights)
    small = blended(base, members, "acme/small", weights=weights, compact=True)
    assert small.manifest.bases[0].result == whole.manifest.bases[0].result
    assert small.manifest.method.sampled["compacted"]["w"]["rank"] == 2


@given(
    st.sampled_from(["BF16", "F32"]),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from([1e-3, 0.1, 10.0]),
    st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_it_never_changes_a_bit_nor_costs_more(tmp_path_factory, dtype, count, rank, size, seed):
    base = base_of(Pico(tmp_path_factory.mktemp("pico")), dtype)
    operations = edits(count + 1, rank, size=size, seed=seed)
    found, report = compacted(base, own_terms({"w": operations}), silent)
    merged = [term.operation for term in found["w"]]
    bits = base.read("w")
    assert patched(bits, dtype, merged).tobytes() == patched(bits, dtype, operations).tobytes()
    assert report["w"]["nbytes"] <= report["w"]["nbytes_before"]


def test_more_than_512_directions_are_split(pico):
    values = np.zeros((600, 600), "<f4")
    base = pico.base_of({"w": values})
    random = np.random.default_rng(0)
    parts = [
        LowRank.snapped(random.integers(-3, 4, (600, 300)), np.eye(600)[start : start + 300])
        for start in (0, 300, 0)
    ]
    found, report = compacted(base, own_terms({"w": parts}), silent)
    merged = [term.operation for term in found["w"]]
    assert max(each.size for each in merged) <= 512
    assert patched(values, "F32", merged).tobytes() == patched(values, "F32", parts).tobytes()
    assert report["w"]["rank"] <= 900


def test_a_direction_that_stands_there_twice_is_written_once_exactly():
    """Whole numbers and powers of two, whose sums often lie half-way between two weights."""
    rows = np.array([[1.0, 2, 0, 4], [0, 1, 1, 0], [2, 4, 0, 8], [0, -0.5, -0.5, 0]])
    a = np.arange(12.0).reshape(3, 4)
    left, right = spanned(a, rows)
    assert right.shape == (2, 4)
    assert np.array_equal(left @ right, a @ rows)
    assert all((each == rows).all(axis=1).any() for each in right)


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_rows_that_span_all_are_found(seed, count, rank):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, rank)) @ random.standard_normal((rank, 9))
    a = random.standard_normal((5, count))
    left, right = spanned(a, rows)
    assert len(right) == min(count, rank)
    np.testing.assert_allclose(left @ right, a @ rows, rtol=1e-6, atol=1e-6)


def test_parts_that_are_zero_are_left(pico):
    base = base_of(pico, "F32")
    parts = [LowRank.snapped(np.zeros((OUT, 1)), np.zeros((1, IN))) for _ in range(2)]
    found, report = compacted(base, own_terms({"w": parts}), silent)
    assert [term.operation for term in found["w"]] == parts
    assert report["w"]["rank"] == 2


def test_sums_that_float32_cannot_hold_are_not_merged(pico):
    """A twice near the largest number, the same tiny B: each product is small, 2A has no place."""
    base = base_of(pico, "F32")
    random = np.random.default_rng(0)
    b = np.full((1, IN), 1e-37) * random.uniform(1, 2, (1, IN))
    a = 3e38 * random.uniform(0.8, 1, (OUT, 1))
    parts = [LowRank.snapped(a, b), LowRank.snapped(a * random.uniform(0.9, 1, a.shape), b)]
    found, report = compacted(base, own_terms({"w": parts}), silent)
    bits, merged = base.read("w"), [term.operation for term in found["w"]]
    assert patched(bits, "F32", merged).tobytes() == patched(bits, "F32", parts).tobytes()
    assert report["w"]["nbytes"] <= report["w"]["nbytes_before"]
