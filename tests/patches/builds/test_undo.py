"""A build is undone by itself where its operations list what they change, to the bit."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pico_fixtures import Pico
from weightpatch.patches.builds import undo
from weightpatch.patches.builds.record import read_record
from weightpatch.patches.builds.revert import revert
from weightpatch.patches.builds.verify import verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.errors import (
    BaseMismatch,
    CheckpointRefused,
    DigestMismatch,
    FormatError,
)
from weightpatch.patches.format import jsonfile
from weightpatch.patches.operations import entries
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.operations.sparse import Sparse

UNDO = "weightpatch.undo"
SHAPE = (6, 10)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def listed(pico, base: Checkpoint, **operations: object) -> Path:
    """A build of one patch that lists entries."""
    found = {pico.DOWN: [pico.sparse(SHAPE, count=20)], pico.NORM: [pico.replaced((6,))]}
    return pico.built(base, [pico.patch(base, operations={**found, **operations})])


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_the_build_alone_becomes_the_base_again(pico, dtype: str, shards: int):
    base = pico.base(dtype=dtype, shards=shards)
    build = listed(pico, base)
    assert Checkpoint.open(build).digests() != base.digests()
    revert(build)
    assert contents(build) == contents(base.path)


def test_a_new_folder_becomes_the_base_and_the_build_is_kept(pico):
    base = pico.base()
    build = listed(pico, base)
    before = contents(build)
    revert(build, out=pico.root / "again")
    assert contents(pico.root / "again") == contents(base.path)
    assert contents(build) == before


def test_negative_zeros_and_subnormal_numbers_come_back(pico):
    tensors = pico.tensors("F32")
    tensors[pico.DOWN][0] = [-0.0, 0.0, 1e-45, -1e-45, 3e38, -3e38, 1, 2, 3, 4]
    base = pico.base_of(tensors)
    parts = {"indices": np.arange(10, dtype="<i4"), "values": pico.values((10,), "F32", 0)}
    term = Replace.read(parts, SHAPE)
    build = pico.built(base, [pico.patch(base, operations={pico.DOWN: [term]})])
    revert(build)
    assert contents(build) == contents(base.path)


@given(
    st.lists(st.sets(st.integers(0, 59), min_size=1), min_size=1, max_size=4),
    st.sampled_from([1, 4, 1 << 14]),
    st.sampled_from(["F32", "F16", "BF16"]),
)
@settings(max_examples=40, deadline=None)
def test_any_entries_come_back(tmp_path_factory, places, chunk: int, dtype: str):
    pico = Pico(tmp_path_factory.mktemp("pico"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "CHUNK", chunk)
        base = pico.base(dtype=dtype)
        patches = []
        for number, found in enumerate(places):
            parts = pico.listed(SHAPE, len(found), "F32", number)
            parts["indices"][:] = sorted(found)
            term = Sparse.read(parts, SHAPE)
            patches.append(pico.patch(base, f"acme/p{number}", operations={pico.DOWN: [term]}))
        build = pico.built(base, patches)
        revert(build)
    assert contents(build) == contents(base.path)


def test_every_entry_may_be_listed(pico):
    base = pico.base()
    term = pico.replaced(SHAPE, count=60)
    build = pico.built(base, [pico.patch(base, operations={pico.DOWN: [term]})])
    revert(build)
    assert contents(build) == contents(base.path)


@pytest.mark.parametrize("kind", ["lowrank", "dense", "replaced_whole"])
def test_what_changed_every_entry_needs_the_base(pico, kind: str):
    base = pico.base()
    build = listed(pico, base, **{pico.UP: [getattr(pico, kind)((10, 6))]})
    before = contents(build)
    with pytest.raises(BaseMismatch, match="cannot be restored") as refusal:
        revert(build)
    assert "--base" in str(refusal.value.hint)
    assert contents(build) == before
    revert(build, base)
    assert contents(build) == contents(base.path)


def test_a_tensor_whose_entries_are_not_all_listed_has_no_undo(pico):
    base = pico.base()
    both = {pico.DOWN: [pico.sparse(SHAPE), pico.lowrank(SHAPE)]}
    build = pico.built(base, [pico.patch(base, operations=both)])
    assert UNDO not in contents(build)


def test_more_entries_than_the_limit_are_undone_from_the_base(pico, monkeypatch):
    base = pico.base()
    monkeypatch.setattr(undo, "MAX_ENTRIES", 24)
    build = listed(pico, base)
    assert UNDO in contents(build)
    monkeypatch.setattr(undo, "MAX_ENTRIES", 23)
    other = pico.built(base, [pico.patch(base, "acme/two", operations={
        pico.DOWN: [pico.sparse(SHAPE, count=24)]})], "other")  # fmt: skip
    assert UNDO not in contents(other)
    with pytest.raises(BaseMismatch):
        revert(other)
    revert(other, base)
    assert contents(other) == contents(base.path)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "linked"])
def test_an_undo_file_that_is_not_the_builds_is_refused(pico, damage: str):
    build = listed(pico, pico.base())
    file = build / UNDO
    data = file.read_bytes()
    if damage == "flipped":
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "cut":
        os.truncate(file, len(data) - 4)
    else:
        file.unlink()
    if damage == "linked":
        file.symlink_to("nowhere")
    before = sorted(build.iterdir())
    with pytest.raises(CheckpointRefused, match="is not that of the build"):
        revert(build)
    assert sorted(build.iterdir()) == before
    assert [found.what for found in verify(build)] == [UNDO]


def test_a_build_that_was_changed_at_a_listed_tensor_is_not_taken_for_the_base(pico):
    base = pico.base()
    build = listed(pico, base)
    info = Checkpoint.open(build).tensors[pico.DOWN]
    free = set(range(60)) - set(pico.sparse(SHAPE, count=20).parts["indices"].tolist())
    with info.file.open("r+b") as file:
        file.seek(info.start + 2 * min(free))
        file.write(b"\1\2")
    before = contents(build)
    with pytest.raises(DigestMismatch, match=pico.DOWN):
        revert(build)
    assert contents(build) == before


def test_an_undo_file_of_the_builds_record_is_still_read_strictly(pico):
    build = listed(pico, pico.base())
    (build / UNDO).write_bytes(b"\x80\x04.")
    record = json.loads((build / "weightpatch.json").read_bytes())
    record["files"][UNDO] = sha256_file(build / UNDO)
    (build / "weightpatch.json").write_bytes(jsonfile.canonical(record, what="record"))
    with pytest.raises(FormatError, match="a pickle"):
        revert(build)


def test_what_had_to_be_changed_beside_the_weights_comes_back(pico):
    base = pico.base()
    build = listed(pico, base)
    record = json.loads((build / "weightpatch.json").read_bytes())
    text = '{"tie_word_embeddings": true}\r\n'
    record["originals"] = {"config.json": text}
    (build / "weightpatch.json").write_bytes(jsonfile.canonical(record, what="record"))
    assert read_record(build).originals == {"config.json": text}
    revert(build)
    assert (build / "config.json").read_bytes() == text.encode()


def test_the_undo_file_is_made_of_replace_operations(pico):
    base = pico.base()
    build = listed(pico, base)
    found = undo.read_undo(build, read_record(build))
    assert set(found) == {pico.DOWN, pico.NORM}
    assert all(isinstance(one, Replace) for one in found.values())
    assert found[pico.DOWN].size == 20
