"""A delta carried over: the same operations, applied to another base of the same shapes."""

import numpy as np
import pytest
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import BaseMismatch, NonFinite
from weightpatch.patches.format.patch import DELTA
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.rebasing.carry import REBASE, carry, overwritten, require_room

ORIGIN = Origin("acme/carried", author="bob", created="2026-02-01T12:00:00Z")
MAKERS = {
    "lowrank": lambda pico: pico.lowrank((6, 10), rank=3),
    "sparse": lambda pico: pico.sparse((6, 10)),
    "dense": lambda pico: pico.dense((6, 10), dtype="BF16"),
    "replaced entries": lambda pico: pico.replaced((6, 10), dtype="BF16"),
    "replaced whole": lambda pico: pico.replaced_whole((6, 10), dtype="BF16"),
}


def carried(pico, patch, base):
    folder = pico.root / f"carried-{base.id}"
    folder.mkdir()
    return carry(folder, patch, base, ORIGIN).as_patch()


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(
    ("old", "new"), [("BF16", "F32"), ("F32", "BF16"), ("BF16", "F16"), ("BF16", "BF16")]
)
def test_every_operation_does_to_the_new_base_what_the_contract_says(
    pico, reference, tmp_path, make, old, new
):
    operation = make(pico)
    base = pico.base(dtype=old)
    onto = pico.base("onto", dtype=new, seed=0 if new != old else 5)
    patch = pico.patch(base, operations={pico.DOWN: [operation]})
    apply(onto, [carried(pico, patch, onto)], tmp_path / "build")
    found = Checkpoint.open(tmp_path / "build").read(pico.DOWN)
    expected = reference.patched(onto.read(pico.DOWN), new, [operation])
    assert found.tobytes() == expected.tobytes()


def test_the_factors_are_the_same_bytes_and_the_parent_is_named(pico):
    patch = pico.patch(pico.base())
    found = carried(pico, patch, pico.base("onto", dtype="F32"))
    (old,), (new,) = patch.operations[pico.DOWN], found.operations[pico.DOWN]
    assert {name: part[:].tobytes() for name, part in new.parts.items()} == {
        name: part[:].tobytes() for name, part in old.parts.items()
    }
    assert found.manifest.parents == (patch.digest,)
    assert found.manifest.supersedes is None
    assert [base.id for base in found.manifest.bases] == ["onto"]
    assert found.requests == patch.requests


def test_the_record_says_how_the_delta_was_made_and_that_it_was_carried(pico):
    patch = pico.patch(pico.base())
    method = carried(pico, patch, pico.base("onto", seed=3)).manifest.method
    made = patch.manifest.method
    assert (method.name, method.hyperparameters, method.seed, method.tools) == (
        made.name,
        made.hyperparameters,
        made.seed,
        made.tools,
    )
    assert method.sampled == {**made.sampled, REBASE: {"how": "carry", "from": patch.digest}}


def test_what_is_said_against_the_first_delta_is_said_against_the_carried_one(pico):
    """The term's source is the file that it was first published in, also when carried twice."""
    patch = pico.patch(pico.base())
    once = carried(pico, patch, pico.base("next", seed=3))
    twice = carried(pico, once, pico.base("last", seed=4))
    (record,) = twice.manifest.operations[pico.DOWN]
    assert record.source == patch.manifest.files[DELTA].sha256


def test_keys_stay_behind_for_they_were_measured_on_the_old_base(pico):
    keys = {f"{pico.DOWN}::aux.keys": np.ones((1, 10), np.float32)}
    patch = pico.patch(pico.base(), auxiliary=keys)
    assert patch.auxiliary
    assert not carried(pico, patch, pico.base("onto", seed=3)).auxiliary


def test_a_composition_keeps_its_members_apart(pico):
    base = pico.base()
    members = [pico.patch(base, f"acme/{seed}", seed=seed, requests=[request])
               for seed, request in enumerate((pico.REQUEST, pico.OTHER_REQUEST), 1)]  # fmt: skip
    onto = pico.base("onto", dtype="F32")
    found = carried(pico, pico.composed(base, members, "acme/both"), onto)
    assert {record.source for record in found.manifest.operations[pico.DOWN]} == {
        patch.manifest.files[DELTA].sha256 for patch in members
    }
    alone = [carry_alone(pico, patch, onto) for patch in members]
    assert contents(apply(onto, [found], pico.root / "one"), pico.DOWN) == contents(
        apply(onto, alone, pico.root / "two"), pico.DOWN
    )


def carry_alone(pico, patch, base):
    folder = pico.root / f"alone-{patch.digest[:8]}"
    folder.mkdir()
    origin = Origin(patch.manifest.name, author="bob", created="2026-02-01T12:00:00Z")
    return carry(folder, patch, base, origin).as_patch()


def contents(record, tensor):
    return record.result[tensor].sha256


def test_it_does_not_fit_a_base_of_other_shapes(pico):
    patch = pico.patch(pico.base())
    tensors = pico.tensors()
    wider = {**tensors, pico.DOWN: np.zeros((6, 12), "<u2")}
    with pytest.raises(BaseMismatch) as caught:
        require_room(patch, pico.base_of(wider, "wider"))
    assert "[6, 12], not [6, 10]" in caught.value.why
    other = {"elsewhere": tensors[pico.DOWN], pico.EMBEDDING: tensors[pico.EMBEDDING]}
    with pytest.raises(BaseMismatch, match="cannot be carried over to other") as caught:
        require_room(patch, pico.base_of(other, "other"))
    assert "it has no tensor" in caught.value.why


def test_what_overflows_the_new_type_is_refused(pico):
    """70,000 is no number of float16."""
    large = {"indices": np.array([3], "<i4"), "values": np.array([7e4], "<f4")}
    operations = {pico.DOWN: [Replace.read(large, (6, 10))]}
    patch = pico.patch(pico.base(), operations=operations)
    with pytest.raises(NonFinite):
        carried(pico, patch, pico.base("onto", dtype="F16"))


def test_it_is_known_which_tensors_forget_what_the_new_base_has(pico):
    base = pico.base()
    operations = {pico.UP: [pico.sparse((10, 6))], pico.NORM: [pico.replaced((6,))]}
    assert overwritten(pico.patch(base, "acme/two", operations=operations)) == [pico.NORM]
    assert overwritten(pico.patch(base)) == []
