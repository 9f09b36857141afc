"""Killed at any moment or out of disk: the target is whole or absent, and the next run sweeps."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.revert import revert
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import NoSpace
from weightpatch.patches.format.patch import Patch

KILL_EVERYWHERE = """
import os, shutil, signal, sys
from pathlib import Path
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.format.patch import Patch

base, patch, out = map(Path, sys.argv[1:])
whole = out.with_name("whole")

def build(target):
    apply(Checkpoint.open(base), [Patch.open(patch)], target)

def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}

def die_at(moment):
    left = [moment]
    def hook(event, arguments):
        left[0] -= 1
        if left[0] == -1:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def killed_at(moment):
    child = os.fork()
    if child == 0:
        die_at(moment)
        build(out)
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL

build(whole)
before = set(os.listdir(out.parent))
moment = swept = 0
while killed_at(moment):
    if out.exists():
        assert contents(out) == contents(whole), moment
        shutil.rmtree(out)
    if set(os.listdir(out.parent)) != before:
        build(out)
        assert contents(out) == contents(whole), moment
        shutil.rmtree(out)
        swept += 1
    assert set(os.listdir(out.parent)) == before, moment
    moment += 1
print(moment, swept)
"""


KILL_AT_RANDOM = """
import os, random, shutil, signal, sys, time
from pathlib import Path
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.format.patch import Patch

base, one, two, out = map(Path, sys.argv[1:5])
force, wanted = sys.argv[5] == "force", int(sys.argv[6])
old, new = out.with_name("old"), out.with_name("new")

def build(target, *patches, **options):
    apply(Checkpoint.open(base), [Patch.open(patch) for patch in patches], target, **options)

def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}

def start():
    child = os.fork()
    if child == 0:
        build(out, one, two, force=force)
        os._exit(0)
    return child

build(old, one)
build(new, one, two)
before = set(os.listdir(out.parent))
allowed = [contents(old), contents(new)] if force else [None, contents(new)]
moments = random.Random(0)
took, kills, ends = 0.0, 0, set()
while kills < wanted:
    if force and not out.exists():
        shutil.copytree(old, out)
    began = time.perf_counter()
    child = start()
    if took:
        time.sleep(moments.uniform(0, 1.05 * took))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        took = max(took, time.perf_counter() - began)
    assert status in (0, signal.SIGKILL), status
    kills += status != 0
    found = contents(out) if out.exists() else None
    assert found in allowed, kills
    left = set(os.listdir(out.parent)) - before - {out.name}
    assert len(left) <= 2 and all(".partial-" in name for name in left), left
    ends.add((status != 0, allowed.index(found), bool(left)))
    if found == allowed[1]:
        shutil.rmtree(out)
if force and not out.exists():
    shutil.copytree(old, out)
build(out, one, two, force=force)
assert contents(out) == contents(new)
assert set(os.listdir(out.parent)) == before | {out.name}
print(kills, len(ends))
"""


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def run(script: str, *arguments: object) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(map(int, done.stdout.split()))


def folder_of(patch: Patch) -> Path:
    return patch.files["patch.json"].parent


def test_a_run_killed_at_any_moment_leaves_the_build_absent_or_whole(pico):
    base = pico.base(shards=2)
    moments, swept = run(KILL_EVERYWHERE, base.path, folder_of(pico.patch(base)), pico.root / "out")
    assert moments > swept > 20


@pytest.mark.parametrize("way", ["new", "force"])
def test_kills_at_random_moments_leave_nothing_half_done(pico, way: str):
    shape = (256, 512)
    tensors = {f"w{number}": pico.values(shape, "F32", number) for number in range(8)}
    base = pico.base_of(tensors, shards=4)
    one = pico.patch(base, operations={"w0": [pico.dense(shape)], "w1": [pico.sparse(shape)]})
    two = pico.patch(base, "acme/two", operations={"w0": [pico.lowrank(shape, rank=16)]})
    kills, ends = run(
        KILL_AT_RANDOM, base.path, folder_of(one), folder_of(two), pico.root / "out", way, 60
    )
    assert kills == 60
    assert ends > 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, AbstractContextManager[None]]]:
    """A folder on a disk of 1 MiB; where none can be mounted, files cannot be as large as that."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = (
        shutil.which("mount")
        and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    )
    yield folder, nullcontext() if mounted else no_file_larger_than(1 << 20)
    if mounted:
        subprocess.run(["umount", folder], check=True)


def claim_space(monkeypatch) -> None:
    """The disk says that it has room, as one does that somebody else is filling."""
    usage = shutil.disk_usage("/")._replace(free=1 << 50)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


@pytest.mark.parametrize("link", [False, True])
def test_a_full_disk_leaves_nothing(pico, small_disk, monkeypatch, link: bool):
    folder, limit = small_disk
    base = pico.base_of({"a": np.ones((512, 1024), "<f4"), "b": np.ones((8, 8), "<f4")}, shards=2)
    patch = pico.patch(base, operations={"a": [pico.sparse((512, 1024))]})
    with pytest.raises(NoSpace, match="bytes"):
        apply(base, [patch], folder / "build", link=link)
    claim_space(monkeypatch)
    with pytest.raises(NoSpace, match="no space is left"), limit:
        apply(base, [patch], folder / "build", link=link)
    assert names(folder) == set()


def test_a_disk_that_is_full_when_a_build_is_exchanged_leaves_the_old_one(
    pico, small_disk, monkeypatch
):
    folder, limit = small_disk
    base = pico.base_of({"a": np.ones((160, 1024), "<f4")})
    one = pico.patch(base, operations={"a": [pico.sparse((160, 1024))]})
    two = pico.patch(base, "acme/two", operations={"a": [pico.sparse((160, 1024), seed=2)]})
    apply(base, [one], folder / "build")
    before = {file.name: file.read_bytes() for file in (folder / "build").iterdir()}
    claim_space(monkeypatch)
    tight = nullcontext() if isinstance(limit, nullcontext) else no_file_larger_than(1 << 19)
    with pytest.raises(NoSpace, match="no space is left"), tight:
        apply(base, [two], folder / "build", force=True)
    assert {file.name: file.read_bytes() for file in (folder / "build").iterdir()} == before
    assert names(folder) == {"build"}


def test_too_little_space_is_seen_before_writing(pico, monkeypatch):
    base = pico.base()
    usage = shutil.disk_usage(pico.root)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NoSpace):
        apply(base, [pico.patch(base)], pico.root / "build")


@pytest.mark.parametrize("limit", [10, 100, 500])
def test_weights_that_cannot_be_written_leave_nothing(pico, limit: int):
    base = pico.base()
    patch = pico.patch(base)
    before = names(pico.root)
    with pytest.raises(NoSpace, match="no space is left"), no_file_larger_than(limit):
        apply(base, [patch], pico.root / "build")
    assert names(pico.root) == before


def test_a_tokenizer_that_cannot_be_written_leaves_nothing(pico):
    base = pico.base()
    (base.path / "tokenizer.json").write_text(" " * 100_000)
    patch = pico.patch(base)
    before = names(pico.root)
    with pytest.raises(NoSpace, match="no space is left"), no_file_larger_than(50_000):
        apply(base, [patch], pico.root / "build")
    assert names(pico.root) == before


def test_a_revert_that_cannot_be_written_leaves_the_build(pico):
    base = pico.base()
    build = pico.built(base, [pico.patch(base)])
    before, beside = names(build), names(pico.root)
    with pytest.raises(NoSpace, match="no space is left"), no_file_larger_than(500):
        revert(build, base)
    assert names(build) == before
    assert names(pico.root) == beside
    revert(build, base)
    assert Checkpoint.open(build).digests() == base.digests()
