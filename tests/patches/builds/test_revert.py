"""Reverting gives the base's very bytes back."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from weightpatch.patches.builds.record import read_record
from weightpatch.patches.builds.revert import revert
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import (
    BaseMismatch,
    CheckpointRefused,
    DigestMismatch,
    NoSpace,
    PathRefused,
    TargetExists,
    VerificationFailed,
)
from weightpatch.patches.format import jsonfile

RECORD = "weightpatch.json"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture(params=[1, 3], ids=["one file", "three shards"])
def base(pico, request) -> Checkpoint:
    return pico.base(shards=request.param)


@pytest.fixture
def build(pico, base: Checkpoint) -> Path:
    operations = {
        pico.DOWN: [pico.lowrank((6, 10), rank=2)],
        pico.UP: [pico.lowrank((10, 6), seed=4)],
    }
    patches = [pico.patch(base), pico.patch(base, "acme/two", operations=operations)]
    return pico.built(base, patches)


def test_in_place_the_build_becomes_the_base(pico, base: Checkpoint, build: Path):
    before = names(pico.root)
    revert(build, base)
    assert contents(build) == contents(base.path)
    assert names(pico.root) == before


def test_a_new_folder_becomes_the_base(pico, base: Checkpoint, build: Path):
    patched = contents(build)
    revert(build, base, pico.root / "again")
    assert contents(pico.root / "again") == contents(base.path)
    assert contents(build) == patched


def test_the_base_may_be_laid_out_otherwise(pico, base: Checkpoint, build: Path):
    other = pico.base("other", shards=2)
    revert(build, other)
    assert contents(build) == contents(base.path)


def test_a_damaged_build_is_mended(pico, base: Checkpoint, build: Path):
    info = Checkpoint.open(build).tensors[pico.DOWN]
    with info.file.open("r+b") as file:
        file.seek(info.start)
        file.write(b"\xff\xff")
    revert(build, base)
    assert contents(build) == contents(base.path)


def test_what_else_lies_in_the_build_is_kept(base: Checkpoint, build: Path):
    (build / ".gitattributes").write_text("mine")
    (build / "notes").mkdir()
    (build / "notes" / "today.md").write_text("mine too")
    revert(build, base)
    assert (build / ".gitattributes").read_text() == "mine"
    assert (build / "notes" / "today.md").read_text() == "mine too"


def test_a_link_to_a_build_still_leads_to_it(pico, base: Checkpoint, build: Path):
    (pico.root / "current").symlink_to(build)
    before = names(pico.root)
    revert(pico.root / "current", base)
    assert contents(build) == contents(base.path)
    assert names(pico.root) == before


def test_weights_behind_a_link_are_not_written_through_it(pico, base: Checkpoint, build: Path):
    file = Checkpoint.open(build).tensors[pico.DOWN].file
    elsewhere = file.rename(pico.root / "elsewhere")
    file.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    revert(build, base)
    assert elsewhere.read_bytes() == before
    assert contents(build) == contents(base.path)


def test_another_base_is_refused(pico, build: Path):
    before = contents(build)
    with pytest.raises(BaseMismatch, match="not the base of this build"):
        revert(build, pico.base("other", seed=1))
    assert contents(build) == before


def test_a_base_that_lacks_the_tensor_is_refused(pico, build: Path):
    tensors = pico.tensors()
    del tensors[pico.UP]
    with pytest.raises(BaseMismatch):
        revert(build, pico.base_of(tensors, "other"))


def test_a_build_is_not_its_own_base(build: Path):
    with pytest.raises(BaseMismatch):
        revert(build, Checkpoint.open(build))


def test_what_is_no_build_is_refused(pico, base: Checkpoint):
    with pytest.raises(CheckpointRefused, match="not a build"):
        revert(base.path, base)


def test_a_target_that_exists_is_refused(pico, base: Checkpoint, build: Path):
    (pico.root / "again").mkdir()
    with pytest.raises(TargetExists):
        revert(build, base, pico.root / "again")
    assert names(pico.root / "again") == set()


def test_a_build_without_the_recorded_tensor_is_refused(pico, base: Checkpoint, build: Path):
    record = json.loads((build / RECORD).read_bytes())
    for table in (record["tensors"], record["result"], record["operations"]):
        table["made.up"] = table[pico.DOWN]
    (build / RECORD).write_bytes(jsonfile.canonical(record, what=RECORD))
    tensors = {**pico.tensors(), "made.up": pico.tensors()[pico.DOWN]}
    before = names(pico.root)
    with pytest.raises(CheckpointRefused, match="is missing"):
        revert(build, pico.base_of(tensors, "other"))
    assert names(pico.root) - before == {"other"}


def test_a_base_that_changes_meanwhile_leaves_the_build_alone(pico, base: Checkpoint, build: Path):
    base.digests()
    info = base.tensors[pico.DOWN]
    with info.file.open("r+b") as file:
        file.seek(info.start)
        file.write(b"\xff\xff")
    before = contents(build)
    with pytest.raises(DigestMismatch):
        revert(build, base)
    assert contents(build) == before


def test_a_pipe_in_the_build_stops_it_before_anything_is_lost(base: Checkpoint, build: Path):
    os.mkfifo(build / "pipe")
    before = names(build)
    with pytest.raises(PathRefused, match="neither a file nor a folder"):
        revert(build, base)
    assert names(build) == before


def test_a_build_changed_after_it_was_made_is_refused(pico, base: Checkpoint, build: Path):
    info = Checkpoint.open(build).tensors[pico.NORM]
    with info.file.open("r+b") as file:
        file.seek(info.start)
        file.write(b"\xff\x01")
    before, beside = contents(build), names(pico.root)
    with pytest.raises(VerificationFailed, match=pico.NORM) as refusal:
        revert(build, base)
    assert "changed after it was made" in str(refusal.value.why)
    assert contents(build) == before
    assert names(pico.root) == beside


def test_folders_may_be_named_by_texts(pico, base: Checkpoint, build: Path):
    revert(str(build), base, str(pico.root / "again"))
    assert contents(pico.root / "again") == contents(base.path)


def test_links_in_a_build_stay_links(pico, base: Checkpoint, build: Path):
    outside = pico.root / "outside"
    outside.mkdir()
    (outside / "private").write_text("mine")
    (build / "notes").mkdir()
    links = {"folder": outside, "file": outside / "private", "dangling": Path("nowhere")}
    for place in (build, build / "notes"):
        for name, target in links.items():
            (place / name).symlink_to(target)
    revert(build, base)
    for place in (build, build / "notes"):
        for name, target in links.items():
            assert (place / name).readlink() == target
    assert names(outside) == {"private"}


def test_a_pipe_in_a_subfolder_is_refused(base: Checkpoint, build: Path):
    (build / "notes").mkdir()
    os.mkfifo(build / "notes" / "pipe")
    before = contents(build)
    with pytest.raises(PathRefused, match="pipe"):
        revert(build, base)
    assert contents(build) == before


def test_space_is_asked_for_what_lies_in_subfolders_too(base: Checkpoint, build: Path):
    (build / "notes").mkdir()
    with (build / "notes" / "sparse").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(NoSpace):
        revert(build, base)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_an_original_is_not_written_through_a_link(pico, name: str):
    base = pico.base()
    build = pico.built(base, [pico.patch(base)])
    victim = pico.root / "victim"
    victim.write_text("{}")
    record = read_record(build)
    forged = replace(
        record,
        files={**record.files, name: "0" * 64},
        originals={name: '{"tie_word_embeddings": true}'},
    )
    (build / "weightpatch.json").write_bytes(forged.to_bytes())
    (build / name).unlink(missing_ok=True)
    (build / name).symlink_to(victim)
    revert(build, base, pico.root / "again")
    assert victim.read_text() == "{}"
    assert not (pico.root / "again" / name).is_symlink()
