"""`--link`: untouched files are second names of the base's, touched ones never are."""

import os
from pathlib import Path

import pytest
from weightpatch.patches.builds import cloning
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.revert import revert
from weightpatch.patches.builds.verify import compare, verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256_file


def contents(folder: Path) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in folder.iterdir()}


def shared(base: Path, build: Path) -> set[str]:
    """Names of files that are one file in both folders."""
    return {
        file.name
        for file in build.iterdir()
        if (base / file.name).exists() and file.samefile(base / file.name)
    }


@pytest.fixture
def base(pico) -> Checkpoint:
    return pico.base(shards=4)


@pytest.fixture
def linked(pico, base: Checkpoint) -> Path:
    apply(base, [pico.patch(base)], pico.root / "build", link=True)
    return pico.root / "build"


def hub(pico, base: Checkpoint) -> Checkpoint:
    """The checkpoint as the Hub's cache keeps it: links of a snapshot into a folder of blobs."""
    blobs, snapshot = pico.root / "blobs", pico.root / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for file in list(base.path.iterdir()):
        blob = file.rename(blobs / sha256_file(file))
        blob.chmod(0o444)
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    return Checkpoint.open(snapshot)


def test_only_the_touched_shard_is_a_file_of_its_own(pico, base: Checkpoint, linked: Path):
    touched = base.tensors[pico.DOWN].file.name
    assert shared(base.path, linked) == {file.name for file in base.files} - {touched}


def test_the_result_is_that_of_copying(pico, base: Checkpoint, linked: Path):
    copied = pico.built(base, [pico.patch(base, "acme/same")], "copied")
    left = {name: digest for name, digest in contents(copied).items() if ".json" not in name}
    assert left == {n: digest for n, digest in contents(linked).items() if ".json" not in n}
    assert verify(linked) == compare(linked, base) == []


def test_without_it_no_file_is_shared(pico, base: Checkpoint):
    assert shared(base.path, pico.built(base, [pico.patch(base)])) == set()


def test_the_base_is_not_changed_by_linking_or_reverting(pico, base: Checkpoint, linked: Path):
    before = contents(base.path)
    revert(linked, base)
    assert contents(base.path) == before == contents(linked)


def test_the_build_outlives_the_base(pico, base: Checkpoint, linked: Path):
    digests = Checkpoint.open(linked).digests()
    for file in base.path.iterdir():
        file.unlink()
    assert Checkpoint.open(linked).digests() == digests


@pytest.mark.parametrize("link", [False, True])
def test_the_blobs_of_a_cache_are_never_written_to(pico, base: Checkpoint, link: bool):
    cached = hub(pico, base)
    before = contents(pico.root / "blobs")
    apply(cached, [pico.patch(cached)], pico.root / "build", link=link)
    assert not any(file.is_symlink() for file in (pico.root / "build").iterdir())
    assert contents(pico.root / "blobs") == before
    touched = cached.tensors[pico.DOWN].file.name
    weights = {file.name for file in cached.files}
    assert shared(cached.path, pico.root / "build") == (weights - {touched} if link else set())
    revert(pico.root / "build", cached)
    assert contents(pico.root / "blobs") == before
    assert Checkpoint.open(pico.root / "build").digests() == cached.digests()


def test_links_across_disks_become_copies(pico, base: Checkpoint, monkeypatch):
    def refuse(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    apply(base, [pico.patch(base)], pico.root / "build", link=True)
    assert shared(base.path, pico.root / "build") == set()
    assert compare(pico.root / "build", base) == []


def test_a_linked_build_can_be_built_upon(pico, base: Checkpoint, linked: Path):
    other = pico.patch(base, "acme/two", operations={pico.UP: [pico.lowrank((10, 6))]})
    apply(Checkpoint.open(linked), [other], pico.root / "second", link=True)
    assert verify(pico.root / "second") == []
    assert verify(linked) == compare(linked, base) == []


def test_bytes_are_copied_where_they_belong(tmp_path: Path):
    (tmp_path / "source").write_bytes(bytes(range(100)))
    (tmp_path / "target").write_bytes(b"." * 20)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    target = os.open(tmp_path / "target", os.O_RDWR)
    cloning.copy_range(source, target, 5, start=10, place=3)
    with pytest.raises(EOFError):
        cloning.copy_range(source, target, 50, start=70, place=0)
    os.close(source)
    os.close(target)
    assert (tmp_path / "target").read_bytes()[30:] == b""
    assert (tmp_path / "source").read_bytes() == bytes(range(100))


@pytest.mark.parametrize("offered", [True, False])
def test_a_system_that_cannot_copy_in_the_kernel_will_do(tmp_path: Path, monkeypatch, offered):
    def refuse(*_: object) -> int:
        raise OSError(18, "not offered")

    if offered:
        monkeypatch.setattr(os, "copy_file_range", refuse)
    else:
        monkeypatch.delattr(os, "copy_file_range")
    data = os.urandom((1 << 20) + 7)
    (tmp_path / "source").write_bytes(data)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "target").open("w+b") as target:
        cloning.copy_range(source.fileno(), target.fileno(), len(data) - 3, start=3, place=0)
    assert (tmp_path / "target").read_bytes() == data[3:]
