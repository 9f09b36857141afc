"""The collector takes what nobody needs, after a time, and nothing else."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event
from weightpatch.patches.errors import LimitExceeded
from weightpatch.registry.blobs import BlobStore
from weightpatch.registry.registry import Registry

DAY = timedelta(hours=24)
AT_ONCE = timedelta()


class Clock:
    """The present, which a test can move ahead."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def blobs(home) -> BlobStore:
    return BlobStore(home / "blobs")


@pytest.fixture
def there(home):
    """Names of all files beside the database."""
    return lambda: {path.name for path in (home / "blobs").rglob("[0-9a-f]*") if path.is_file()}


def files(registry: Registry, reference: str) -> set[str]:
    """Digests of a version's files."""
    return {path.name for path in registry.patch(reference).files.values()}


def test_by_default_it_only_says_what_it_would_take(registry, blobs, there, clock):
    orphan = blobs.put_bytes(b"left by a crash").sha256
    assert registry.collect().items == ()
    clock.ahead = DAY
    found = registry.collect()
    assert (found.dry_run, found.size) == (True, 15)
    assert [(item.digest, item.why) for item in found.items] == [(orphan, "orphan")]
    assert found.items[0].age >= DAY
    assert there() == {orphan}
    assert [entry.action for entry in registry.log()] == ["registry.create"]


def test_what_it_takes_stands_in_the_ledger(registry, blobs, there, make_draft, clock):
    registry.publish(make_draft())
    kept = there()
    orphan = blobs.put_bytes(b"left by a crash").sha256
    clock.ahead = DAY
    taken = registry.collect(dry_run=False)
    assert [item.digest for item in taken.items] == [orphan]
    assert there() == kept
    entry = registry.log(limit=1)[0]
    assert entry.action == "blob.collect"
    assert entry.detail == {"count": 1, "bytes": 15, "blobs": [orphan]}
    assert registry.collect(dry_run=False).items == ()
    assert registry.log(limit=1)[0].seq == entry.seq


def test_a_deleted_version_loses_its_files_and_scores_after_a_day(
    registry, there, make_draft, make_evaluation, clock
):
    kept = registry.publish(make_draft(seed=1))
    gone = registry.publish(make_draft(seed=2))
    for info in (kept, gone):
        registry.record_evaluation(info.digest, info.digest, make_evaluation())
    own = files(registry, gone.label) - files(registry, kept.label)
    own |= {evaluation.digest for evaluation in registry.evaluations(gone.digest)}
    registry.delete(gone.label, reason="private data")
    assert registry.collect(dry_run=False).items == ()

    clock.ahead = DAY
    taken = registry.collect(dry_run=False)
    assert {item.digest for item in taken.items} == own
    assert {item.why for item in taken.items} == {"deleted"}
    assert sorted(name for item in taken.items for name in item.names) == [
        "acme/tongues@2 attestation",
        "acme/tongues@2 delta.safetensors",
        "acme/tongues@2 patch.json",
    ]
    assert registry.patch(kept.label).operations
    assert registry.evaluations(kept.digest)[0].path.is_file()
    assert registry.examine(full=True) == []
    assert registry.resolve(f"sha256:{gone.digest}").label == gone.label


def test_the_time_counts_from_the_deletion(registry, make_draft, clock):
    info = registry.publish(make_draft())
    clock.ahead = 2 * DAY
    registry.delete(info.label, reason="private data")
    clock.ahead = 3 * DAY - timedelta(minutes=1)
    assert registry.collect().items == ()
    clock.ahead = 3 * DAY
    assert len(registry.collect().items) == 3


def test_a_dry_run_asks_as_little_for_many_deletions_as_for_one(registry, make_draft):
    asked = []
    engine = registry._store.database.engine
    event.listen(engine, "before_cursor_execute", lambda *_: asked.append(1))
    counts = []
    for seed in range(3):
        registry.delete(registry.publish(make_draft(seed=seed)).label, reason="private data")
        asked.clear()
        registry.collect(grace=AT_ONCE)
        counts.append(len(asked))
    assert len(set(counts)) == 1


def test_what_was_restored_is_needed_again(registry, make_draft, clock):
    info = registry.publish(make_draft())
    registry.delete(info.label, reason="by mistake")
    registry.restore(info.label, reason="it was the wrong one")
    clock.ahead = DAY
    assert registry.collect(dry_run=False).items == ()
    assert registry.patch(info.label).operations


def test_a_blob_that_was_wanted_again_is_young_again(registry, blobs):
    record = blobs.put_bytes(b"left by a crash")
    before = 1_000_000_000
    os.utime(blobs.path(record.sha256), (before, before))
    assert len(registry.collect().items) == 1
    blobs.put_bytes(b"left by a crash")
    assert registry.collect().items == ()


def test_it_says_what_an_orphan_seems_to_be(registry, blobs, make_draft, make_evaluation):
    draft = make_draft()
    blobs.put_bytes(draft.numbered(7).to_bytes())
    blobs.put_bytes((draft.folder / "requests.jsonl").read_bytes())
    blobs.put_bytes(b"\x00\xff")
    assert sorted(item.names for item in registry.collect(grace=AT_ONCE).items) == [
        (),
        ("patch.json of acme/tongues@7, which never came in",),
        ("requests",),
    ]


def test_trash_of_a_killed_run_is_finished_or_put_back(registry, home, there, make_draft):
    info = registry.publish(make_draft())
    everything = there()
    trash = home / "blobs" / "trash"
    trash.mkdir()
    delta = registry.patch(info.label).files["delta.safetensors"]
    delta.rename(trash / delta.name)
    (trash / ("0" * 64)).write_bytes(b"nobody's")

    would = registry.collect()
    assert {(item.digest, item.why) for item in would.items} == {
        ("0" * 64, "trash"),
    }
    assert registry.collect(dry_run=False).put_back == (delta.name,)
    assert there() == everything
    assert registry.patch(info.label).operations


def test_what_lies_in_the_trash_is_not_put_back_with_other_bytes(registry, home, make_draft):
    info = registry.publish(make_draft())
    trash = home / "blobs" / "trash"
    trash.mkdir()
    delta = registry.patch(info.label).files["delta.safetensors"]
    delta.rename(trash / delta.name)
    (trash / delta.name).chmod(0o644)
    (trash / delta.name).write_bytes(b"other")
    assert registry.collect(dry_run=False).put_back == ()
    assert [finding.kind for finding in registry.examine()] == ["blob-missing"]


def test_a_grace_below_zero_is_refused(registry):
    with pytest.raises(LimitExceeded):
        registry.collect(grace=-DAY)


def test_more_blobs_than_one_transaction_takes(registry, blobs, there):
    for number in range(1_201):
        path = blobs.path(f"{number:064x}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    taken = registry.collect(grace=AT_ONCE, dry_run=False)
    assert len(taken.items) == 1_201
    assert [entry.detail["count"] for entry in registry.log(limit=2)] == [201, 1_000]
    assert there() == set()
