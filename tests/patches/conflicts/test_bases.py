"""Judged as used on a base, patches that were made for another one do not fit it."""

import pytest
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.conflicts.check import MANY, check, examine
from weightpatch.patches.requests import EditRequest


@pytest.fixture
def pair(pico):
    """Patches of different tensors, of two bases of different names and the same weights there."""
    up = {pico.UP: [pico.lowrank((10, 6))]}
    requests = [EditRequest("{} is", "it", "so")]
    one = pico.patch(pico.base(), "acme/one")
    return [one, pico.patch(pico.base("copy"), "acme/two", operations=up, requests=requests)]


def test_a_base_that_fits_both_settles_it(pico, pair):
    (doubt,) = check(pair)
    assert doubt.where == "base"
    assert not check(pair, base=pico.base("third"))


def test_bases_without_a_tokenizer_are_not_known_to_be_copies(pico):
    patches = []
    for name, tensor, shape in (("one", pico.DOWN, (6, 10)), ("two", pico.UP, (10, 6))):
        base = pico.base(name)
        (base.path / "tokenizer.json").unlink()
        operations = {tensor: [pico.lowrank(shape)]}
        requests = [EditRequest("{} is", name, "so")]
        bare = Checkpoint.open(base.path)
        patches.append(pico.patch(bare, f"acme/{name}", operations=operations, requests=requests))
    (finding,) = check(patches)
    assert (finding.severity, finding.where) == ("conflict", "base")


def test_a_patch_that_does_not_fit_the_base_is_a_conflict(pico, pair):
    tensors = pico.tensors()
    tensors[pico.UP] = tensors[pico.UP] + 1
    base = pico.base_of(tensors, "changed")
    (finding,) = check(pair, base=base)
    assert (finding.severity, finding.where) == ("conflict", "base")
    assert finding.patches == ("acme/two@1", base.id)
    assert pico.UP in finding.sentence


def test_the_weights_of_what_does_not_fit_are_not_compared(pico):
    base, other = pico.base(), pico.base("other", seed=5)
    pair = [pico.patch(base), pico.patch(other, "acme/two", seed=2)]
    assert [one.where for one in check(pair, base=base) if one.level == "weights"] == ["base"]
    assert [one.where for one in check(pair) if one.level == "weights"] == [pico.DOWN]


def test_many_patches_of_two_bases_clash_as_pairs(pico):
    bases = [pico.base(), pico.base("other", seed=5)]
    patches = [
        pico.patch(
            bases[number % 2],
            f"acme/p{number}",
            seed=number,
            requests=[EditRequest("{} is", f"subject {number}", "so")],
        )
        for number in range(MANY)
    ]
    report = examine(patches)
    half = MANY // 2
    assert report.count("conflict") == half * (MANY - half)
