"""A registry on a medium that cannot be written to, and on one that is full."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from weightpatch.patches.errors import NoSpace
from weightpatch.registry.database import media
from weightpatch.registry.errors import DatabaseFailed
from weightpatch.registry.registry import Registry


@pytest.fixture
def sealed(home, make_draft) -> Iterator[Path]:
    """A registry with one version in a folder into which nobody may write."""
    with Registry.create(home=home, actor="ada") as registry:
        registry.publish(make_draft())
    (home / "registry.db").chmod(0o444)
    home.chmod(0o555)
    yield home
    home.chmod(0o755)


def test_a_registry_on_a_read_only_medium_can_be_read(sealed):
    before = sorted(path.name for path in sealed.iterdir())
    with Registry.open(home=sealed, actor="ada") as registry:
        assert [info.label for info in registry.versions()] == ["acme/tongues@1"]
        assert registry.patch("acme/tongues").operations
        assert registry.verify_ledger().ok
        assert sorted(path.name for path in sealed.iterdir()) == before


def test_it_says_that_it_cannot_be_written_to(sealed, enter):
    with (
        Registry.open(home=sealed, actor="ada") as registry,
        pytest.raises(DatabaseFailed, match="readonly") as caught,
    ):
        enter(registry, "version.push", "acme/tongues@1")
    assert "read-only medium" in caught.value.hint


def test_only_what_nobody_writes_to_is_taken_for_immutable(tmp_path):
    file = tmp_path / "registry.db"
    file.touch()
    assert not media.is_read_only(file)
    assert "immutable" not in media.read_only_url(file).query
    tmp_path.chmod(0o555)
    try:
        assert media.is_read_only(file)
        assert media.read_only_url(file).query["immutable"] == "1"
    finally:
        tmp_path.chmod(0o755)
    (tmp_path / "registry.db-wal").touch()
    tmp_path.chmod(0o555)
    try:
        assert "immutable" not in media.read_only_url(file).query
    finally:
        tmp_path.chmod(0o755)


def test_a_full_disk_is_said_to_be_one(home, enter):
    with Registry.create(home=home, actor="ada") as registry:
        engine = registry._store.database.engine
        engine.dispose()

        @event.listens_for(engine, "connect")
        def limit(connection: sqlite3.Connection, _entry: object) -> None:
            connection.execute("PRAGMA max_page_count=1")

        with pytest.raises(NoSpace, match="full") as caught:
            enter(registry, "version.push", "x", None, {"a": "x" * 200_000})
        assert caught.value.code == "E_SPACE"
        assert len(registry.log()) == 1
