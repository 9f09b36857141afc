"""A disk that is full: it is said, and nothing is half there."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from weightpatch.patches.errors import NoSpace
from weightpatch.registry.registry import Registry


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let this process write no file larger than that, which fails as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def full_at(sql) -> Callable[[Registry, int], None]:
    """Let a registry's SQLite grow by no more than some pages."""

    def limit(registry: Registry, pages: int) -> None:
        ((used,),) = sql("PRAGMA page_count")

        def restrict(connection, _entry):
            connection.execute(f"PRAGMA max_page_count={used + pages}")

        event.listen(registry._store.database.engine, "connect", restrict)
        registry._store.database.engine.dispose()

    return limit


def files(home) -> list:
    return [path for path in (home / "blobs" / "sha256").rglob("*") if path.is_file()]


def test_no_room_for_a_blob(registry, home, make_draft):
    draft = make_draft()
    with largest_file(64), pytest.raises(NoSpace, match="no room for") as told:
        registry.publish(draft)
    assert told.value.code == "E_SPACE"
    assert "make room" in told.value.hint
    assert files(home) == []
    assert registry.versions() == []
    assert registry.examine(full=True) == []
    assert registry.publish(draft).label == "acme/tongues@1"


def test_no_room_for_the_manifest_within_the_transaction(registry, home, make_draft):
    draft = make_draft(message="x" * 2_000)
    with largest_file(1_500), pytest.raises(NoSpace):
        registry.publish(draft)
    assert registry.versions() == []
    assert {finding.kind for finding in registry.examine(full=True)} == {"blob-orphan"}
    assert registry.publish(draft).label == "acme/tongues@1"
    assert registry.examine(full=True) == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("pages", [0, 1, 3])
def test_no_room_in_the_database(registry, reopen, make_draft, full_at, pages):
    small = reopen()
    full_at(small, pages)
    drafts = [make_draft(f"acme/p{seed}", message="x" * 9_000, seed=seed) for seed in range(20)]
    with small, pytest.raises(NoSpace, match="disk of the database is full"):
        list(map(small.publish, drafts))
    count = len(registry.versions())
    assert {finding.kind for finding in registry.examine(full=True)} == {"blob-orphan"}
    registry.publish(make_draft("acme/after", seed=99))
    assert len(registry.versions()) == count + 1
