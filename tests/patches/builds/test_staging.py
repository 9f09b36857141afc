"""A staged folder appears whole or not at all, and dead runs leave nothing for good."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from weightpatch.patches.builds import staging
from weightpatch.patches.builds.staging import rename_without_replacing, require_free, staged
from weightpatch.patches.errors import PathRefused, TargetExists

DIE = """
import os, signal, sys
from pathlib import Path
from weightpatch.patches.builds.staging import staged
with staged(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("written")
    print("ready", flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def start(target: Path, then: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DIE, target, then],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def write(target: Path, text: str = "new", *, replace: bool = False) -> None:
    with staged(target, replace=replace) as folder:
        (folder / "file").write_text(text)


def fail(target: Path, error: type[BaseException]) -> None:
    with staged(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("new")
        raise error


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def test_the_folder_is_there_when_the_block_has_ended(target: Path):
    with staged(target) as folder:
        (folder / "file").write_text("new")
        assert not target.exists()
    assert (target / "file").read_text() == "new"
    assert names(target.parent) == {"target"}


def test_the_folder_has_the_mode_that_the_user_wants(target: Path):
    write(target)
    target.with_name("plain").mkdir()
    assert target.stat().st_mode == target.with_name("plain").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_nothing_is_left_when_the_block_fails(target: Path, error: type[BaseException]):
    with pytest.raises(error):
        fail(target, error)
    assert names(target.parent) == set()


@pytest.mark.parametrize("kind", ["folder", "empty", "file", "link", "dangling"])
def test_what_is_there_is_not_replaced(target: Path, kind: str):
    make = {
        "folder": lambda: (target.mkdir(), (target / "file").write_text("old")),
        "empty": target.mkdir,
        "file": target.touch,
        "link": lambda: target.symlink_to(target.parent),
        "dangling": lambda: target.symlink_to("nowhere"),
    }
    make[kind]()
    with pytest.raises(TargetExists):
        write(target)
    assert names(target.parent) == {"target"}


def test_what_appears_meanwhile_is_not_replaced(target: Path):
    with pytest.raises(TargetExists), staged(target):
        target.mkdir()
    assert names(target.parent) == {"target"}
    assert names(target) == set()


@pytest.mark.parametrize("parent", ["nowhere", "file"])
def test_the_parent_must_be_a_folder(tmp_path: Path, parent: str):
    (tmp_path / "file").touch()
    with pytest.raises(PathRefused):
        write(tmp_path / parent / "target")
    with pytest.raises(PathRefused):
        require_free(tmp_path / parent / "target")


def test_a_relative_target_is_meant_from_here(target: Path, monkeypatch):
    monkeypatch.chdir(target.parent)
    write(Path("target"))
    assert (target / "file").read_text() == "new"


def test_a_folder_can_be_exchanged(target: Path):
    write(target, "old")
    (target / "more").touch()
    write(target, replace=True)
    assert names(target) == {"file"}
    assert names(target.parent) == {"target"}


def test_a_failed_exchange_leaves_the_old_folder(target: Path):
    write(target, "old")
    with pytest.raises(ValueError, match="stop"), staged(target, replace=True):
        raise ValueError("stop")
    assert (target / "file").read_text() == "old"
    assert names(target.parent) == {"target"}


def test_a_system_that_cannot_exchange_or_keep_will_do(target: Path, monkeypatch):
    monkeypatch.setattr(staging, "_NOREPLACE", 1 << 20)
    monkeypatch.setattr(staging, "_EXCHANGE", 1 << 20)
    write(target, "old")
    with pytest.raises(TargetExists):
        rename_without_replacing(target, target)
    write(target, replace=True)
    assert (target / "file").read_text() == "new"
    assert names(target.parent) == {"target"}


def test_what_a_killed_run_left_is_swept_by_the_next(target: Path):
    process = start(target, "die")
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert not target.exists()
    assert any(name.startswith(".target.partial-") for name in names(target.parent))
    write(target)
    assert names(target.parent) == {"target"}


def test_what_a_living_run_writes_is_not_swept(target: Path):
    process = start(target, "live")
    (partial,) = (path for path in target.parent.iterdir() if path.is_dir())
    with staged(target):
        assert (partial / "half").read_text() == "written"
    process.communicate()
    assert names(target.parent) == {"target"}


def test_the_remains_of_another_target_are_left_alone(tmp_path: Path):
    process = start(tmp_path / "other", "die")
    process.communicate()
    before = names(tmp_path)
    write(tmp_path / "target")
    assert names(tmp_path) == before | {"target"}


def test_characters_of_a_pattern_in_a_name_stand_for_themselves(tmp_path: Path):
    process = start(tmp_path / "a", "die")
    process.communicate()
    before = names(tmp_path)
    write(tmp_path / "[a]*")
    assert names(tmp_path) == before | {"[a]*"}


def test_of_many_runs_one_wins_and_nothing_is_left(target: Path):
    runs = [start(target, "live") for _ in range(3)]
    for run in runs:
        run.communicate()
    assert [run.returncode for run in runs].count(0) == 1
    assert names(target.parent) == {"target"}


def test_links_are_not_followed_when_folders_are_flushed(tmp_path: Path):
    with staged(tmp_path / "target") as folder:
        (folder / "up").symlink_to(tmp_path)
        (folder / "dangling").symlink_to("nowhere")
    assert (tmp_path / "target" / "dangling").is_symlink()


def fail_half_way(out: Path) -> None:
    with staging.staged(out) as folder:
        (folder / "file").write_text("half")
        raise ValueError


def test_an_interrupt_while_cleaning_up_leaves_a_lock_to_be_swept_by(tmp_path, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fail_half_way(tmp_path / "out")
    assert len(list(tmp_path.iterdir())) == 2
    with staging.staged(tmp_path / "out") as folder:
        (folder / "file").write_text("whole")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_an_interrupt_after_the_exchange_is_too_late(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, staging.staged(tmp_path / "out", replace=True):
        patch.setattr(staging.shutil, "rmtree", interrupted)
    assert not (tmp_path / "out" / "old").exists()
