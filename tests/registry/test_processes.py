"""Many processes at once, and processes that are killed at every step."""

import random
import time
from datetime import timedelta
from pathlib import Path

import pytest
from registry_workers import answer, read_draft, start, start_together
from weightpatch.patches.digests import sha256
from weightpatch.registry.registry import Registry

AT_ONCE = timedelta()


@pytest.fixture
def draft_folder(make_draft):
    """A draft as a folder that another process can read."""

    def make(name: str, seed: int) -> Path:
        draft = make_draft(name, seed=seed)
        (draft.folder / "patch.json").write_bytes(draft.manifest.to_bytes())
        return draft.folder

    return make


@pytest.fixture
def new_url(dialect, request) -> str | None:
    """A database with nothing in it, as `Registry.create` takes it."""
    if dialect == "sqlite":
        return None
    return request.getfixturevalue("empty_postgresql").render_as_string(hide_password=False)


def test_32_processes_publish_at_once(registry, url, home, tmp_path, draft_folder):
    each, processes = 3, 32
    begin = tmp_path / "begin"
    folders = [draft_folder("acme/busy", seed) for seed in range(each * processes)]
    workers = start_together(
        *(
            ("publish", url, home, begin, *folders[worker * each :][:each])
            for worker in range(processes)
        )
    )
    for _ in range(processes):
        assert workers.stdout.readline() == "ready\n", workers.stderr.read()
    begin.touch()

    numbers = sorted(number for found in answer(workers) for number in found)
    assert numbers == list(range(1, processes * each + 1))
    assert [info.version for info in registry.versions(limit=100)] == numbers[::-1]
    assert registry.verify_ledger().sound == 1 + len(numbers)
    assert registry.examine(full=True) == []


def test_8_processes_make_one_registry(new_url, home):
    creators = start_together(*[("create", new_url, home)] * 8)
    assert answer(creators) == [True] * 8
    with Registry.open(new_url, home=home, actor="ada") as registry:
        assert [entry.action for entry in registry.log()] == ["registry.create"]
        assert registry.examine() == []


def test_a_collector_without_grace_takes_nothing_from_publishers(registry, url, home, draft_folder):
    publishers = [("churn", url, home, 4, draft_folder("acme/churned", seed)) for seed in range(4)]
    collectors = [("collect", url, home, 4)] * 2
    *counts, first, second = answer(start_together(*publishers, *collectors))
    published, deleted = map(sum, zip(*counts, strict=True))
    assert first + second > 0

    registry.collect(grace=AT_ONCE, dry_run=False)
    assert registry.examine(full=True) == []
    assert (registry.facts().versions, registry.facts().patches) == (published, published)
    assert registry.facts().blobs > published - deleted


def test_a_publisher_killed_at_every_step_leaves_all_or_nothing(registry, url, home, draft_folder):
    folders = [draft_folder("acme/killed", seed) for seed in range(150)]
    outcomes = answer(start("killed_at_each_step", url, home, "publish", *folders))
    assert set(outcomes[:-1]) == {-9}
    assert outcomes[-1] == 0
    assert len(outcomes) > 60

    assert_whole(registry, home)
    versions = registry.versions(limit=300)
    assert 1 < len(versions) < len(outcomes)
    assert registry.verify_ledger().sound == 1 + len(versions) + 1  # and the mending


def test_a_collector_killed_at_every_step_loses_nothing(registry, url, home, draft_folder):
    kept, gone = (registry.publish(read_draft(draft_folder("acme/one", seed))) for seed in range(2))
    registry.delete(gone.label, reason="private data")
    outcomes = answer(start("killed_at_each_step", url, home, "collect", *range(150)))
    assert set(outcomes[:-1]) == {-9}
    assert outcomes[-1] == 0
    assert len(outcomes) > 20

    assert_whole(registry, home)
    assert registry.patch(kept.label).operations
    registry.collect(grace=AT_ONCE, dry_run=False)
    left = {path.name for path in (home / "blobs" / "sha256").rglob("*") if path.is_file()}
    assert left == {path.name for path in registry.patch(kept.label).files.values()}


def test_publishers_killed_at_any_moment_leave_all_or_nothing(registry, url, home, draft_folder):
    moments = random.Random(0)
    for _ in range(2):
        publishers = [
            start("churn", url, home, 60, draft_folder("acme/killed", seed)) for seed in range(4)
        ]
        wait_for_versions(registry, registry.facts().versions + 5)
        time.sleep(moments.random())
        for publisher in publishers:
            publisher.kill()
        for publisher in publishers:
            publisher.communicate()
    assert_whole(registry, home)


def wait_for_versions(registry: Registry, count: int) -> None:
    """Until other processes have published so many, however slow the machine is."""
    deadline = time.monotonic() + 120
    while registry.facts().versions < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_whole(registry: Registry, home: Path) -> None:
    """The doctor finds nothing worse than what was left over, and mending leaves only orphans."""
    assert not [finding for finding in registry.examine(full=True) if finding.is_wrong]
    mending = registry.mend(full=True)
    assert {finding.kind for finding in mending.left} <= {"blob-orphan", "blob-deleted"}
    for path in (home / "blobs" / "sha256").rglob("*"):
        assert path.is_dir() or sha256(path.read_bytes()) == path.name
    for name in {info.name for info in registry.versions(limit=1_000)}:
        numbers = [info.version for info in registry.versions(name=name, limit=1_000)]
        assert numbers == list(range(len(numbers), 0, -1))
