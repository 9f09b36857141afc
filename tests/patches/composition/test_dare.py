"""DARE: a draw that is the same everywhere, and the formula of the paper on it."""

import hashlib

import numpy as np
import pytest
from weightpatch.patches.composition.drawing import is_dropped, key_of
from weightpatch.patches.errors import RequestRefused, Unsupported

MASK = 2**64 - 1


def drawn(key: int, index: int) -> int:
    """SplitMix64's number `index`, in Python's own numbers."""
    z = (key + (index + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_the_numbers_are_those_of_splitmix64():
    """Of the seed 1234567, as Rosetta Code lists them."""
    published = (6457827717110365317, 3203168211198807973, 9817491932198370423)
    assert tuple(drawn(1234567, index) for index in range(3)) == published
    for number, limit in enumerate(published):
        edge = (limit >> 11) / 2**53
        assert not is_dropped(1234567, number, 1, edge)[0]
        assert is_dropped(1234567, number, 1, np.nextafter(edge, 1))[0]


@pytest.mark.parametrize("start", [0, 1, 17, 2**31, 2**40])
def test_it_does_not_matter_where_a_block_begins(start):
    key = key_of(3, "a" * 64, "w")
    expected = [drawn(key, start + i) / 2**64 < 0.3 for i in range(50)]
    assert is_dropped(key, start, 50, 0.3).tolist() == expected


def test_the_key_is_a_hash_of_seed_member_and_tensor():
    digest = hashlib.sha256(b"7 " + b"a" * 64 + b" w.b").digest()
    assert key_of(7, "a" * 64, "w.b") == int.from_bytes(digest[:8], "little")
    others = {key_of(8, "a" * 64, "w.b"), key_of(7, "b" * 64, "w.b"), key_of(7, "a" * 64, "w.c")}
    assert len(others | {key_of(7, "a" * 64, "w.b")}) == 4


@pytest.mark.parametrize("drop", [0.1, 0.5, 0.9])
def test_as_many_are_dropped_as_they_should(drop):
    count = 100_000
    dropped = is_dropped(key_of(0, "a" * 64, "w"), 0, count, drop)
    spread = np.sqrt(drop * (1 - drop) / count)
    assert abs(dropped.mean() - drop) < 4 * spread
    neighbours = np.corrcoef(dropped[1:], dropped[:-1])[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(count)


@pytest.fixture
def members(pico):
    base = pico.base("base", dtype="F32")
    return base, [
        pico.patch(base, "acme/low", operations={pico.DOWN: [pico.lowrank((6, 10), rank=2)]}),
        pico.patch(base, "acme/dense", operations={pico.DOWN: [pico.dense((6, 10), seed=2)]}),
    ]


def reference(pico, patches, seed, drop, weights=(1, 1), scale=1.0):
    total = 0.0
    for patch, weight in zip(patches, weights, strict=True):
        delta = sum(each.rows(0, 6) for each in patch.operations[pico.DOWN])
        text = f"{seed} {patch.digest} {pico.DOWN}".encode()
        key = int.from_bytes(hashlib.sha256(text).digest()[:8], "little")
        kept = np.array([drawn(key, i) >= drop * 2**64 for i in range(60)]).reshape(6, 10)
        total = total + weight * np.where(kept, delta, 0) / (1 - drop)
    return scale * total


def test_it_is_the_formula_of_the_paper(pico, members, blended):
    base, patches = members
    given = {"drop": "0.6", "seed": "5", "scale": "0.5"}
    found = blended(base, patches, merge="dare", settings=given, weights=(2, -1))
    (operation,) = found.operations[pico.DOWN]
    expected = reference(pico, patches, 5, 0.6, (2, -1), 0.5)
    np.testing.assert_allclose(operation.rows(0, 6), expected, rtol=1e-6)
    assert found.manifest.method.seed == 5
    assert found.manifest.method.hyperparameters["drop"] == 0.6


def test_without_dropping_it_is_the_sum(pico, members, blended):
    base, patches = members
    found = blended(base, patches, merge="dare", settings={"drop": "0"})
    added = blended(base, patches, "acme/sum")
    expected = sum(each.rows(0, 6) for each in added.operations[pico.DOWN])
    np.testing.assert_array_equal(
        found.operations[pico.DOWN][0].rows(0, 6), expected.astype(np.float32)
    )


def test_it_does_not_depend_on_the_blocks(pico, members, blended, monkeypatch):
    base, patches = members
    whole = blended(base, patches, "acme/whole", merge="dare")
    monkeypatch.setattr("weightpatch.patches.composition.deltas.AT_ONCE", 20)
    parts = blended(base, patches, "acme/parts", merge="dare")
    assert whole.manifest.bases[0].result == parts.manifest.bases[0].result


def test_another_seed_is_another_delta_and_the_same_is_the_same(members, blended):
    base, patches = members
    results = [
        blended(base, patches, f"acme/m{n}", merge="dare", settings={"seed": seed})
        .manifest.bases[0].result
        for n, seed in enumerate(("1", "1", "2"))
    ]  # fmt: skip
    assert results[0] == results[1] != results[2]


def test_what_cannot_be_added_is_refused(pico, members, blended):
    base, patches = members
    other = pico.patch(base, "acme/new", operations={pico.NORM: [pico.replaced((6,))]})
    with pytest.raises(Unsupported, match=r"acme/new@1 changes model\.norm\.weight by replace"):
        blended(base, [*patches, other], merge="dare")


@pytest.mark.parametrize(
    "wrong", [{"drop": "1"}, {"drop": "-0.1"}, {"drop": "nan"}, {"seed": "-1"}, {"seed": "1e3"}]
)
def test_settings_out_of_range_are_refused(members, blended, wrong):
    base, patches = members
    with pytest.raises(RequestRefused):
        blended(base, patches, merge="dare", settings=wrong)
