"""The base under a build: read from the build alone where that is possible, to the bit."""

import json
from pathlib import Path

import numpy as np
import pytest
from weightpatch.patches.builds.record import read_record
from weightpatch.patches.builds.underlying import Underlying, find_tensors
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import BaseMismatch, CheckpointRefused, DigestMismatch
from weightpatch.patches.format import jsonfile
from weightpatch.patches.stored_array import blocks

RECORD = "weightpatch.json"


@pytest.fixture
def base(pico) -> Checkpoint:
    return pico.base()


def built(pico, base: Checkpoint, *operations, tensor: str | None = None) -> Checkpoint:
    """A build of one patch with these operations on one tensor."""
    patch = pico.patch(base, operations={tensor or pico.DOWN: list(operations)})
    return Checkpoint.open(pico.built(base, [patch]))


def test_with_the_base_every_tensor_is_the_bases(pico, base: Checkpoint):
    under = Underlying(built(pico, base, pico.lowrank((6, 10))), base)
    assert under.digests() == base.digests()
    assert (under.id, under.config) == (base.id, base.config)


@pytest.mark.parametrize("kind", ["sparse", "replaced"])
def test_listed_entries_are_restored_from_the_build_alone(pico, base: Checkpoint, kind: str):
    build = built(pico, base, getattr(pico, kind)((6, 10), count=9))
    assert build.digest(pico.DOWN) != base.digest(pico.DOWN)
    under = Underlying(build)
    assert under.is_restorable(pico.DOWN)
    assert under.digests() == base.digests()
    assert np.array_equal(under.read(pico.DOWN), base.read(pico.DOWN))


@pytest.mark.parametrize("elements", [1, 10, 25, 1000])
def test_a_restored_tensor_can_be_read_in_blocks(pico, base: Checkpoint, elements: int):
    operations = [pico.sparse((6, 10), count=30), pico.sparse((6, 10), count=30, seed=2)]
    array = Underlying(built(pico, base, *operations)).array(pico.DOWN)
    found = np.concatenate(list(blocks(array, elements)))
    assert np.array_equal(found, base.read(pico.DOWN))


def test_a_vector_is_restored_too(pico, base: Checkpoint):
    build = built(pico, base, pico.sparse((6,)), tensor=pico.NORM)
    assert Underlying(build).digests() == base.digests()


@pytest.mark.parametrize("kind", ["lowrank", "dense", "replaced_whole"])
def test_what_changed_every_entry_needs_the_base(pico, base: Checkpoint, kind: str):
    under = Underlying(built(pico, base, getattr(pico, kind)((6, 10))))
    assert not under.is_restorable(pico.DOWN)
    with pytest.raises(BaseMismatch, match="cannot be restored") as refusal:
        under.array(pico.DOWN)
    assert "--original" in str(refusal.value.hint)
    assert under.digest(pico.UP) == base.digest(pico.UP)


def test_another_base_is_refused(pico, base: Checkpoint):
    build = built(pico, base, pico.sparse((6, 10)))
    with pytest.raises(BaseMismatch, match="not the base of this build"):
        Underlying(build, pico.base("other", seed=1))


@pytest.mark.parametrize("change", [{"shape": [7, 10]}, {"dtype": "F16"}])
def test_tensors_of_another_form_than_recorded_are_refused(pico, base: Checkpoint, change):
    build = built(pico, base, pico.sparse((6, 10)))
    record = json.loads((build.path / RECORD).read_bytes())
    for table in (record["tensors"], record["result"]):
        table[pico.DOWN] |= change
    (build.path / RECORD).write_bytes(jsonfile.canonical(record, what=RECORD))
    with pytest.raises(CheckpointRefused, match="is missing, or of another shape or type"):
        find_tensors(read_record(build.path), build)


def test_a_tensor_that_is_gone_is_refused(pico, base: Checkpoint):
    build = built(pico, base, pico.sparse((6, 10)))
    file = build.path / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(pico.DOWN.encode(), pico.DOWN.upper().encode()))
    with pytest.raises(CheckpointRefused, match="is missing"):
        Underlying(Checkpoint.open(build.path))


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_an_undo_file_that_is_another_is_refused(pico, base: Checkpoint, damage: str):
    build = built(pico, base, pico.sparse((6, 10)))
    undo = build.path / "weightpatch.undo"
    if damage == "changed":
        undo.write_bytes(undo.read_bytes()[:-1] + b"\x77")
    else:
        undo.unlink()
    with pytest.raises(CheckpointRefused, match="is not that of the build"):
        Underlying(build).array(pico.DOWN)


def flip(file: Path, position: int) -> None:
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)


def test_a_build_that_changes_while_it_is_read_is_noticed(pico, base: Checkpoint):
    build = built(pico, base, pico.sparse((6, 10)))
    under = Underlying(build)
    under.digests()
    flip(build.path / "model.safetensors", build.tensors[pico.UP].start)
    under.require_unchanged([pico.DOWN])
    with pytest.raises(DigestMismatch):
        under.require_unchanged([pico.UP])


def test_a_base_that_changes_while_it_is_read_is_noticed(pico, base: Checkpoint):
    under = Underlying(built(pico, base, pico.lowrank((6, 10))), base)
    under.digests()
    flip(base.path / "model.safetensors", base.tensors[pico.DOWN].start)
    under.require_unchanged([pico.UP])
    with pytest.raises(DigestMismatch):
        under.require_unchanged([pico.DOWN])


def test_weights_that_are_stored_twice_are_known_as_such_without_their_bytes(pico):
    tensors = pico.tensors()
    base = pico.base_of({**tensors, "lm_head.weight": tensors[pico.EMBEDDING]}, "tied")
    build = built(pico, base, pico.lowrank((5, 6)), tensor=pico.EMBEDDING)
    under = Underlying(build)
    assert under.copies(pico.EMBEDDING) == ["lm_head.weight"]


def test_a_head_that_was_another_is_not_taken_for_a_share(pico):
    tensors = pico.tensors()
    head = tensors[pico.EMBEDDING] + np.float16(1)
    base = pico.base_of({**tensors, "lm_head.weight": head}, "untied")
    build = built(pico, base, pico.lowrank((5, 6)), tensor=pico.EMBEDDING)
    assert Underlying(build).tied == {}
