"""Composing: bit for bit what applying together gives, also when composed again."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pico_fixtures import Pico, stored
from weightpatch.patches import summation
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.composition.members import MAX_ID
from weightpatch.patches.errors import (
    BaseMismatch,
    ConflictFound,
    DigestMismatch,
)
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.terms import sum_of


def base_of(pico, dtype: str = "F32", seed: int = 0) -> Checkpoint:
    """A base whose norm one row makes, so that large deltas are allowed on small weights."""
    tensors = pico.tensors(dtype, seed)
    tensors[pico.DOWN][0] = tensors[pico.DOWN].dtype.type({"F32": 2.0**55, "BF16": 0x5B00}[dtype])
    return pico.base_of(tensors)


def patches(pico, base: Checkpoint, count: int = 3) -> list[Patch]:
    """Patches that meet on the down projection; their large deltas cancel if added last."""
    return [
        pico.patch(
            base,
            f"acme/p{number}",
            operations={
                pico.DOWN: [
                    pico.lowrank((6, 10), rank=number + 1, seed=number),
                    Dense(np.full((6, 10), large, np.float32)),
                ],
                pico.UP: [pico.lowrank((10, 6), seed=number)],
            },
            auxiliary={f"{pico.DOWN}::aux.keys": np.full((1, 10), number, np.float32)},
        )
        for number, large in enumerate((2.0**55, -(2.0**54), -(2.0**54))[:count])
    ]


def digests(pico, base: Checkpoint, found: list[Patch], name: str) -> dict[str, str]:
    return Checkpoint.open(pico.built(base, found, name)).digests()


def test_the_order_of_the_sum_shows(pico):
    base = base_of(pico)
    terms = sum_of(patches(pico, base))[pico.DOWN]
    operations = [term.operation for term in terms]
    bits = base.read(pico.DOWN)
    results = {
        summation.patched(bits, "F32", list(order)).tobytes() for order in permutations(operations)
    }
    assert len(results) > 1


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
def test_a_composition_gives_the_same_bits_as_its_members(pico, dtype: str):
    base = base_of(pico, dtype)
    members = patches(pico, base)
    both = pico.composed(base, members, "acme/both")
    assert digests(pico, base, [both], "one") == digests(pico, base, members, "two")


def test_its_promise_is_kept_by_the_members_too(pico):
    base = base_of(pico)
    members = patches(pico, base)
    composed = pico.composed(base, members, "acme/all")
    found = digests(pico, base, members, "build")
    assert composed.manifest.bases[0].result == {name: found[name] for name in composed.operations}


def test_the_order_of_naming_does_not_matter(pico):
    base = base_of(pico)
    members = patches(pico, base)
    found = {
        pico.composed(base, list(order), f"acme/all{number}")
        .files["delta.safetensors"]
        .read_bytes()
        for number, order in enumerate(permutations(members))
    }
    assert len(found) == 1


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_composing_in_steps_gives_the_same_bits(tmp_path_factory, seed: int):
    pico = Pico(tmp_path_factory.mktemp("pico"))
    base = base_of(pico, seed=seed)
    one, two, three = patches(pico, base)
    together = pico.composed(base, [one, two, three], "acme/together")
    left = pico.composed(base, [pico.composed(base, [one, two], "acme/l"), three], "acme/left")
    right = pico.composed(base, [one, pico.composed(base, [two, three], "acme/r")], "acme/right")
    results = [patch.manifest.bases[0].result for patch in (together, left, right)]
    assert results[0] == results[1] == results[2]


def test_a_composition_and_another_patch_apply_in_the_one_order(pico):
    base = base_of(pico)
    one, two, three = patches(pico, base)
    some = pico.composed(base, [one, three], "acme/some")
    found = digests(pico, base, [two, some], "some")
    assert found == digests(pico, base, [one, two, three], "all")


def test_requests_keep_the_name_of_their_patch(pico):
    base = base_of(pico)
    both = pico.composed(base, patches(pico, base, 2), "acme/both")
    assert {request.id for request in both.requests} == {"acme/p0@1/1", "acme/p1@1/1"}


def test_auxiliary_arrays_are_stacked(pico):
    base = base_of(pico)
    both = pico.composed(base, patches(pico, base, 2), "acme/both")
    keys = both.auxiliary[f"{pico.DOWN}::aux.keys"]
    assert sorted(keys[:, 0]) == [0, 1]


def test_members_are_named_by_digest(pico):
    base = base_of(pico)
    members = patches(pico, base, 2)
    both = pico.composed(base, members, "acme/both")
    assert set(both.manifest.parents) == {member.digest for member in members}
    assert both.manifest.method.name == "compose"


def test_one_patch_is_no_composition(pico):
    base = base_of(pico)
    with pytest.raises(ConflictFound, match="two versions at least"):
        pico.composed(base, patches(pico, base, 1), "acme/both")


def test_a_patch_is_not_composed_with_itself(pico):
    base = base_of(pico)
    (patch,) = patches(pico, base, 1)
    with pytest.raises(ConflictFound, match="same delta"):
        pico.composed(base, [patch, patch], "acme/both")


def test_a_composition_is_not_composed_with_its_member(pico):
    base = base_of(pico)
    members = patches(pico, base, 2)
    both = pico.composed(base, members, "acme/both")
    with pytest.raises(ConflictFound, match="same delta"):
        pico.composed(base, [both, members[0]], "acme/again")


def test_two_patches_of_one_label_are_not_composed(pico):
    base = pico.base()
    other = Pico(pico.root / "elsewhere")
    other.root.mkdir()
    with pytest.raises(ConflictFound, match="both called acme/one@1"):
        pico.composed(base, [pico.patch(base), other.patch(base, seed=2)], "acme/both")


def test_patches_of_different_bases_are_not_composed(pico):
    base, other = pico.base(), pico.base("other", seed=1)
    members = [pico.patch(base), pico.patch(other, "acme/two")]
    with pytest.raises(BaseMismatch):
        pico.composed(base, members, "acme/both")


def test_auxiliary_arrays_that_do_not_fit_are_left_out_with_all_of_their_tensor(pico):
    base = pico.base()
    members = [
        pico.patch(
            base,
            name,
            auxiliary={
                "w::aux.keys": np.ones((1, size), np.float32),
                "w::aux.residuals": np.ones((1, 2), np.float32),
                "v::aux.keys": np.ones((1, 2), np.float32),
            },
            seed=size,
        )
        for name, size in (("acme/one", 3), ("acme/two", 4))
    ]
    both = pico.composed(base, members, "acme/both")
    assert digests(pico, base, [both], "one") == digests(pico, base, members, "two")
    assert list(both.auxiliary) == ["v::aux.keys"]
    assert both.manifest.method.sampled == {
        "auxiliary_left_out": ["w::aux.keys", "w::aux.residuals"]
    }


def test_nothing_is_said_of_auxiliary_arrays_that_fit(pico):
    base = base_of(pico)
    both = pico.composed(base, patches(pico, base, 2), "acme/both")
    assert both.manifest.method.sampled == {}


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_auxiliary_arrays_of_other_types_are_stacked_as_their_values(pico, dtype: str):
    base = pico.base()
    name = f"{pico.DOWN}::aux.keys"
    members = [
        pico.patch(
            base,
            f"acme/{kind.lower()}",
            auxiliary={name: stored(np.full((1, 10), value, np.float32), kind)},
            seed=value,
        )
        for value, kind in ((1, "F32"), (2, dtype))
    ]
    both = pico.composed(base, members, "acme/both")
    assert both.auxiliary[name].dtype == np.float32
    assert sorted(both.auxiliary[name][:, 0]) == [1, 2]


def test_compositions_of_compositions_do_not_run_out_of_ids(pico):
    base = pico.base()
    composed = pico.patch(base, "acme/p0")
    for level in range(1, 6):
        other = pico.patch(base, f"acme/p{level}", seed=level + 1)
        name = f"acme/{'n' * 90}{level}"
        composed = pico.composed(base, [composed, other], name)
        ids = [request.id for request in composed.requests]
        assert len(set(ids)) == level + 1
        assert max(map(len, ids)) <= MAX_ID
        assert f"acme/p{level}@1/1" in ids


@pytest.mark.parametrize("kind", ["dense", "sparse", "replaced_whole"])
def test_a_member_that_changes_while_it_is_read_is_refused(pico, kind: str):
    base = pico.base()
    members = [
        pico.patch(base, "acme/one", operations={pico.DOWN: [getattr(pico, kind)((6, 10))]}),
        pico.patch(base, "acme/two", operations={pico.UP: [pico.lowrank((10, 6))]}),
    ]
    assert members[0].operations
    assert members[0].auxiliary == {}
    delta = members[0].files["delta.safetensors"]
    data = bytearray(delta.read_bytes())
    data[-1] ^= 0x80
    delta.write_bytes(data)
    with pytest.raises(DigestMismatch):
        pico.composed(base, members, "acme/both")


@pytest.mark.parametrize("kind", ["sparse", "replaced", "replaced_whole"])
def test_every_kind_can_be_composed(pico, kind: str):
    base = pico.base()
    members = [
        pico.patch(base, "acme/one", operations={pico.DOWN: [getattr(pico, kind)((6, 10))]}),
        pico.patch(base, "acme/two", operations={pico.UP: [pico.dense((10, 6))]}),
    ]
    both = pico.composed(base, members, "acme/both")
    assert digests(pico, base, [both], "one") == digests(pico, base, members, "two")


def test_members_that_replace_the_same_entry_are_not_composed(pico):
    base = pico.base()
    members = [
        pico.patch(base, name, operations={pico.DOWN: [pico.replaced((6, 10), seed=3)]}, auxiliary={
            f"{pico.DOWN}::aux.keys": np.full((1, 10), seed, np.float32)})
        for seed, name in enumerate(("acme/one", "acme/two"))
    ]  # fmt: skip
    with pytest.raises(ConflictFound, match="replaced and changed"):
        pico.composed(base, members, "acme/both")
