"""A folder as a remote: whole versions only, whoever else writes there and whatever lies there."""

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from weightpatch.patches.errors import (
    DigestMismatch,
    ExtraFile,
    LimitExceeded,
    ManifestError,
    NameRefused,
    PathRefused,
    SizeMismatch,
)
from weightpatch.registry.errors import VersionClash
from weightpatch.registry.remotes import attestations
from weightpatch.registry.remotes.base import open_remote
from weightpatch.registry.remotes.errors import RemoteNotFound
from weightpatch.registry.remotes.folder.remote import FolderRemote

NOTE = b'{"score": 1}'


@pytest.fixture
def version(folder_remote, bundle) -> Path:
    """The folder of a version that was pushed."""
    return Path(folder_remote.push(bundle(notes=(NOTE,))).location)


def test_a_version_is_a_folder_that_anybody_can_read(version):
    mask = os.umask(0)
    os.umask(mask)

    assert version.parts[-3:] == ("acme", "tongues", "v1")
    assert stat.S_IMODE(version.stat().st_mode) == 0o777 & ~mask
    assert {path.name for path in version.iterdir()} == {
        "patch.json",
        "delta.safetensors",
        "requests.jsonl",
        "README.md",
        "attestations",
    }
    assert "# acme/tongues@1" in (version / "README.md").read_text()
    assert [path.name for path in version.parent.iterdir()] == ["v1"]


def replace_by_link(version: Path) -> None:
    path = version / "requests.jsonl"
    path.rename(version.parent / "elsewhere")
    path.symlink_to(version.parent / "elsewhere")


def replace_by_pipe(version: Path) -> None:
    (version / "delta.safetensors").unlink()
    os.mkfifo(version / "delta.safetensors")


def link_the_folder(version: Path) -> None:
    version.rename(version.parent / "elsewhere")
    version.symlink_to(version.parent / "elsewhere")


def link_the_attestations(version: Path) -> None:
    (version / "attestations").rename(version.parent / "elsewhere")
    (version / "attestations").symlink_to(version.parent / "elsewhere")


def link_the_namespace(version: Path) -> None:
    namespace = version.parents[1]
    namespace.rename(namespace.parent / "elsewhere")
    namespace.symlink_to(namespace.parent / "elsewhere")


def add_a_file(version: Path) -> None:
    (version / "model.py").write_text("import os")


def add_a_hidden_folder(version: Path) -> None:
    (version / ".git").mkdir()


def add_to_the_attestations(version: Path) -> None:
    (version / "attestations" / "notes.txt").write_text("hello")


def remove_a_file(version: Path) -> None:
    (version / "requests.jsonl").unlink()


def flip_a_bit(version: Path) -> None:
    data = bytearray((version / "delta.safetensors").read_bytes())
    data[-1] ^= 1
    (version / "delta.safetensors").write_bytes(data)


def make_it_longer(version: Path) -> None:
    os.truncate(version / "delta.safetensors", 5 << 20)


def make_it_shorter(version: Path) -> None:
    os.truncate(version / "delta.safetensors", 10)


def make_the_manifest_too_large(version: Path) -> None:
    os.truncate(version / "patch.json", (1 << 20) + 1)


def change_an_attestation(version: Path) -> None:
    (path,) = (version / "attestations").iterdir()
    path.write_bytes(NOTE.replace(b"1", b"9"))


def make_an_attestation_too_large(version: Path) -> None:
    (path,) = (version / "attestations").iterdir()
    os.truncate(path, attestations.MAX_BYTES + 1)


def rename_the_version(version: Path) -> None:
    (version / "patch.json").write_bytes(
        (version / "patch.json").read_bytes().replace(b'"version":1', b'"version":2')
    )


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (replace_by_link, PathRefused),
        (replace_by_pipe, PathRefused),
        (link_the_folder, PathRefused),
        (link_the_attestations, PathRefused),
        (link_the_namespace, PathRefused),
        (add_a_file, ExtraFile),
        (add_a_hidden_folder, ExtraFile),
        (add_to_the_attestations, ExtraFile),
        (remove_a_file, ManifestError),
        (rename_the_version, ManifestError),
        (flip_a_bit, DigestMismatch),
        (change_an_attestation, DigestMismatch),
        (make_it_longer, SizeMismatch),
        (make_it_shorter, SizeMismatch),
        (make_the_manifest_too_large, LimitExceeded),
        (make_an_attestation_too_large, LimitExceeded),
    ],
)
def test_what_was_tampered_with_is_refused(folder_remote, version, into, spoil, error):
    spoil(version)

    with pytest.raises(error) as caught:
        folder_remote.pull("acme/tongues", 1, into)
    assert str(folder_remote.root) in caught.value.message


def test_no_more_is_copied_than_was_promised(folder_remote, version, into):
    promised = (version / "delta.safetensors").stat().st_size
    make_it_longer(version)

    with pytest.raises(SizeMismatch, match=f"more bytes where {promised} were promised"):
        folder_remote.pull("acme/tongues", 1, into)
    assert (into / "delta.safetensors").stat().st_size <= promised


@pytest.mark.parametrize("spoil", [flip_a_bit, remove_a_file, make_it_longer])
def test_a_damaged_version_does_not_count_as_there(folder_remote, version, bundle, spoil):
    spoil(version)

    with pytest.raises(DigestMismatch, match="is not what was published there") as caught:
        folder_remote.push(bundle(notes=(NOTE,)))
    assert "out of the way" in caught.value.hint


def test_more_attestations_than_allowed_are_refused(
    folder_remote, version, bundle, into, monkeypatch
):
    monkeypatch.setattr(attestations, "MAX_COUNT", 1)

    with pytest.raises(LimitExceeded, match="more than 1 attestations"):
        folder_remote.push(bundle(notes=(b"another",)))
    assert list(folder_remote.pull("acme/tongues", 1, into).attestations.values()) == [NOTE]


def test_the_card_is_written_anew_with_new_attestations(folder_remote, version, bundle):
    (version / "README.md").write_text("anything at all")
    folder_remote.push(bundle(notes=(NOTE,)))
    assert (version / "README.md").read_text() == "anything at all"

    folder_remote.push(bundle(notes=(b"new",)))

    assert "# acme/tongues@1" in (version / "README.md").read_text()


def test_a_namespace_that_is_a_link_is_not_written_through(folder_remote, bundle, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder_remote.root.mkdir()
    (folder_remote.root / "acme").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PathRefused):
        folder_remote.push(bundle())
    assert not list((tmp_path / "elsewhere" / "tongues").glob("*"))


def test_a_drive_that_is_not_mounted_is_not_made(tmp_path, bundle):
    with pytest.raises(RemoteNotFound, match="there is no folder") as caught:
        FolderRemote(tmp_path / "mnt" / "shared").push(bundle())
    assert "mounted" in caught.value.hint
    assert not (tmp_path / "mnt").exists()


def test_names_that_lead_elsewhere_are_refused(folder_remote, into):
    with pytest.raises(NameRefused):
        folder_remote.pull("../evil", 1, into)


def test_what_a_killed_push_left_is_no_version(folder_remote, version, bundle):
    shutil.copytree(version, version.parent / ".incoming-1-dead")

    assert folder_remote.versions("acme/tongues") == [1]
    assert not folder_remote.push(bundle(2, seed=2)).already_there


@pytest.mark.parametrize("same", [True, False])
def test_of_racing_writers_one_wins_and_the_others_see_it(folder_remote, bundle, into, same):
    bundles = [bundle(1, seed=0 if same else seed) for seed in range(8)]
    start = Barrier(len(bundles))

    def push(sent):
        start.wait()
        try:
            return folder_remote.push(sent).already_there
        except VersionClash:
            return "clash"

    with ThreadPoolExecutor(len(bundles)) as pool:
        results = list(pool.map(push, bundles))

    assert results.count(False) == 1
    assert results.count(True if same else "clash") == 7
    winner = bundles[results.index(False)]
    assert folder_remote.pull("acme/tongues", 1, into).patch.digest == winner.patch.digest
    assert [path.name for path in (folder_remote.root / "acme/tongues").iterdir()] == ["v1"]


def test_a_path_opens_a_folder_remote(tmp_path):
    assert open_remote(str(tmp_path)) == FolderRemote(tmp_path)


def test_an_unknown_persons_home_is_refused():
    with pytest.raises(PathRefused, match="nosuch"):
        open_remote("~nosuch-person/shared")


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo])
def test_pushing_onto_something_else_than_a_folder_is_refused(tmp_path, bundle, make):
    make(tmp_path / "taken")
    with pytest.raises(PathRefused, match="not a folder") as caught:
        FolderRemote(tmp_path / "taken").push(bundle())
    assert caught.value.hint


def test_a_link_to_itself_is_refused(tmp_path, bundle):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PathRefused):
        FolderRemote(tmp_path / "loop").versions("acme/tongues")
    with pytest.raises(PathRefused):
        FolderRemote(tmp_path / "loop").push(bundle())


def test_a_push_that_fails_leaves_no_folders(folder_remote, bundle):
    pushed = bundle()
    delta = pushed.patch.files["delta.safetensors"]
    delta.write_bytes(delta.read_bytes() + b"more")
    with pytest.raises(SizeMismatch):
        folder_remote.push(pushed)
    assert not folder_remote.root.exists()


def test_a_plan_names_what_a_push_then_writes_and_makes_nothing(folder_remote, bundle):
    sent = bundle(notes=(NOTE,))
    planned = folder_remote.plan(sent)
    assert planned.makes
    assert not folder_remote.root.exists()

    there = Path(folder_remote.push(sent).location)
    written = [path for path in there.rglob("*") if path.is_file()]
    assert planned.location == str(there)
    assert planned.files == {str(path.relative_to(there)): path.stat().st_size for path in written}
    assert folder_remote.plan(sent).files == {}
    assert not folder_remote.plan(bundle(2, seed=2)).makes


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (flip_a_bit, DigestMismatch),
        (remove_a_file, DigestMismatch),
        (link_the_folder, PathRefused),
        (link_the_namespace, PathRefused),
        (link_the_attestations, PathRefused),
        (rename_the_version, VersionClash),
    ],
)
def test_what_a_push_would_be_refused_for_a_plan_is(folder_remote, version, bundle, spoil, error):
    spoil(version)
    for act in (folder_remote.plan, folder_remote.push):
        with pytest.raises(error):
            act(bundle(notes=(b"new",)))


@pytest.mark.parametrize("damage", [b"more", b""])
def test_a_version_that_was_changed_here_is_not_planned(folder_remote, bundle, damage):
    sent = bundle()
    delta = sent.patch.files["delta.safetensors"]
    delta.write_bytes(delta.read_bytes()[:-4] + damage)
    with pytest.raises(DigestMismatch):
        folder_remote.plan(sent)


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo])
def test_a_plan_for_something_else_than_a_folder_is_refused(tmp_path, bundle, make):
    make(tmp_path / "taken")
    with pytest.raises(PathRefused, match="not a folder"):
        FolderRemote(tmp_path / "taken").plan(bundle())
