"""`--force`: a build is exchanged for another; nothing else is ever taken away."""

import shutil
from pathlib import Path

import pytest
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.verify import verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.errors import PathRefused, TargetExists, WeightpatchError
from weightpatch.patches.format.patch import Patch


def contents(folder: Path) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in folder.iterdir()}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture
def patches(pico) -> list[Patch]:
    base = pico.base()
    other = {pico.UP: [pico.sparse((10, 6))]}
    return [pico.patch(base), pico.patch(base, "acme/two", operations=other)]


@pytest.fixture
def base(pico, patches: list[Patch]) -> Checkpoint:
    return Checkpoint.open(pico.root / "base")


def test_a_build_is_exchanged_for_the_new_one(pico, base: Checkpoint, patches: list[Patch]):
    build = pico.built(base, patches[:1])
    (build / "tokenizer.json").write_text("of the old one")
    before = names(pico.root)
    apply(base, patches[1:], build, force=True)
    assert names(pico.root) == before
    assert contents(build) == contents(pico.built(base, patches[1:], "afresh"))


def test_where_nothing_is_a_build_is_made(pico, base: Checkpoint, patches: list[Patch]):
    apply(base, patches, pico.root / "build", force=True)
    assert verify(pico.root / "build") == []


def test_a_build_can_take_its_own_place(pico, base: Checkpoint, patches: list[Patch]):
    build = pico.built(base, patches[:1])
    apply(Checkpoint.open(build), patches[1:], build, force=True)
    assert contents(build) == contents(pico.built(base, patches, "together"))


def test_without_it_a_build_is_not_exchanged(pico, base: Checkpoint, patches: list[Patch]):
    build = pico.built(base, patches[:1])
    before = contents(build)
    with pytest.raises(TargetExists):
        apply(base, patches[1:], build)
    assert contents(build) == before


def test_what_fails_leaves_the_old_build(pico, base: Checkpoint, patches: list[Patch]):
    build = pico.built(base, patches[:1])
    before, beside = contents(build), names(pico.root)
    foreign = pico.patch(pico.base("other", seed=5), "acme/foreign")
    with pytest.raises(WeightpatchError):
        apply(base, [foreign], build, force=True)
    assert contents(build) == before
    assert names(pico.root) - {"other", "acme-foreign"} == beside


def test_the_base_itself_is_never_exchanged(pico, base: Checkpoint, patches: list[Patch]):
    before = contents(base.path)
    with pytest.raises(TargetExists, match="is not a build"):
        apply(base, patches, base.path, force=True)
    assert contents(base.path) == before


@pytest.mark.parametrize("kind", ["empty", "folder", "file", "dangling", "link"])
def test_what_is_no_build_is_never_exchanged(
    pico, base: Checkpoint, patches: list[Patch], kind: str
):
    build = pico.built(base, patches[:1])
    before = contents(build)
    out = pico.root / "out"
    make = {
        "empty": out.mkdir,
        "folder": lambda: (out.mkdir(), (out / "mine").write_text("mine")),
        "file": lambda: out.write_text("mine"),
        "dangling": lambda: out.symlink_to("nowhere"),
        "link": lambda: out.symlink_to(build),
    }
    make[kind]()
    left = names(pico.root)
    with pytest.raises(TargetExists):
        apply(base, patches, out, force=True)
    assert names(pico.root) == left
    assert contents(build) == before
    assert out.is_symlink() == (kind in ("dangling", "link"))


@pytest.mark.parametrize("name", ["notes.md", ".notes", "runs"])
def test_what_somebody_else_put_into_a_build_is_not_lost(pico, base, patches, name: str):
    build = pico.built(base, patches[:1])
    (build / name).mkdir() if name == "runs" else (build / name).write_text("mine")
    with pytest.raises(TargetExists, match=name):
        apply(base, patches[1:], build, force=True)
    assert (build / name).exists()


def test_a_build_that_holds_what_is_read_is_not_exchanged(pico, base, patches):
    build = pico.built(base, patches[:1])
    inside = build / ".base"
    shutil.copytree(base.path, inside)
    with pytest.raises(PathRefused, match="lies in"):
        apply(Checkpoint.open(inside), patches[1:], build, force=True)
    with pytest.raises(PathRefused, match="lies in"):
        apply(Checkpoint.open(build), patches[1:], build, base=Checkpoint.open(inside), force=True)
    assert inside.exists()


def test_what_stopped_being_a_build_meanwhile_is_not_exchanged(pico, base, patches):
    build = pico.built(base, patches[:1])

    def unmake(_phase: str, done: int, total: int | None) -> None:
        if done == total:
            (build / "weightpatch.json").unlink(missing_ok=True)

    with pytest.raises(TargetExists, match="not a build"):
        apply(base, patches[1:], build, force=True, progress=unmake)
    assert (build / "model.safetensors").exists()


def test_a_build_is_not_written_into_what_it_is_read_from(pico, base, patches):
    with pytest.raises(PathRefused, match="only read"):
        apply(base, patches, base.path / "build")
    assert {entry.name for entry in base.path.iterdir()} == {
        "config.json", "tokenizer.json", "model.safetensors"
    }  # fmt: skip
