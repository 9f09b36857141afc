"""A composition already counts its members in, however it was made."""

from dataclasses import replace

from weightpatch.patches.conflicts.check import check
from weightpatch.patches.conflicts.findings import Finding
from weightpatch.patches.format.patch import Patch


def held(*patches: Patch) -> list[Finding]:
    return [finding for finding in check(patches) if finding.where == "delta"]


def made_of(pico, base, name: str, *parents: Patch, method: str = "compose", seed: int) -> Patch:
    """A version with deltas of its own, as merging by weights or TIES leaves it."""
    one = pico.patch(base, name, seed=seed, requests=[replace(pico.REQUEST, subject=name)])
    digests = tuple(parent.digest for parent in parents)
    record = replace(one.manifest.method, name=method)
    return Patch.open(pico.rewrite(one, parents=digests, method=record))


def test_a_merge_is_not_used_together_with_its_member(pico):
    base = pico.base()
    one, other = (pico.patch(base, f"acme/p{seed}", seed=seed) for seed in (1, 2))
    merge = made_of(pico, base, "acme/merge", one, seed=3)
    for pair in ((merge, one), (one, merge)):
        (finding,) = held(*pair)
        assert finding.severity == "conflict"
        assert "acme/p1@1 is already counted in: acme/merge@1" in finding.sentence
    assert not held(merge, other)


def test_nor_with_a_member_of_its_member_that_is_at_hand(pico):
    base = pico.base()
    one = pico.patch(base)
    inner = made_of(pico, base, "acme/inner", one, seed=2)
    outer = made_of(pico, base, "acme/outer", inner, seed=3)
    assert {finding.patches for finding in held(one, inner, outer)} == {
        ("acme/one@1", "acme/inner@1"),
        ("acme/one@1", "acme/outer@1"),
        ("acme/inner@1", "acme/outer@1"),
    }


def test_two_merges_of_one_version_count_it_twice(pico):
    base = pico.base()
    one = pico.patch(base)
    merges = [made_of(pico, base, f"acme/merge{seed}", one, seed=seed) for seed in (2, 3)]
    (finding,) = held(*merges)
    assert f"sha256:{one.digest[:12]}" in finding.sentence


def test_what_was_made_again_from_a_version_does_not_hold_it(pico):
    base = pico.base()
    one = pico.patch(base)
    assert not held(one, made_of(pico, base, "acme/again", one, method="rome", seed=2))


def test_an_exact_sum_is_known_by_its_deltas(pico):
    base = pico.base()
    one, two = (pico.patch(base, f"acme/p{seed}", seed=seed) for seed in (1, 2))
    (finding,) = held(pico.composed(base, [one, two], "acme/both"), one)
    assert finding.sentence == "both hold the same delta"
