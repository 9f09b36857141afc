"""Registries as earlier releases made them, with rows in every table, upgraded by this one."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, insert, inspect, text
from weightpatch.patches.errors import NoSpace
from weightpatch.patches.format.patch import Draft, Patch, write_files
from weightpatch.patches.requests import EditRequest
from weightpatch.registry.database import migrate, schema, triggers
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.errors import DatabaseFailed, SchemaTooOld
from weightpatch.registry.registry import Registry

RELEASED = Path(__file__).parent / "released"
FOLDERS = sorted(path.name for path in RELEASED.iterdir() if path.is_dir())
COPY = "registry.db.{}.bak-20260404T120000Z"

UPGRADER = """
import os, signal, sys
from sqlalchemy import Engine, event
from weightpatch.registry.registry import Registry

url, home, last = sys.argv[1] or None, sys.argv[2], int(sys.argv[3])
seen = 0

@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    global seen
    seen += 1
    if seen == last:
        os.kill(os.getpid(), signal.SIGKILL)

Registry.upgrade(url, home=home, actor="bob")
"""

Rows = dict[str, list[tuple]]


@dataclass(frozen=True)
class Old:
    """A registry of an older release; `rows` are those that it was made with."""

    url: str | None
    home: Path
    revision: str
    rows: Rows

    def upgrade(self):
        now = lambda: datetime(2026, 4, 4, 12, tzinfo=UTC)  # noqa: E731
        return Registry.upgrade(self.url, home=self.home, actor="bob", now=now)

    def open(self) -> Registry:
        return Registry.open(self.url, home=self.home, actor="bob")

    def found(self) -> Rows:
        """The rows that are there now, in the tables that were there."""
        database = Database(locate(self.url, self.home))
        with database.reading() as connection:
            found = {
                table: sorted_rows(connection.exec_driver_sql(f'SELECT * FROM "{table}"'))
                for table in self.rows
            }
        database.close()
        return found

    def start_upgrade(self, last: int = 0) -> subprocess.Popen:
        """Upgrade in a process of its own, killed before it sends its statement number `last`."""
        arguments = [self.url or "", str(self.home), str(last)]
        return subprocess.Popen([sys.executable, "-c", UPGRADER, *arguments])

    def state(self) -> str | None:
        return migrate.state(self.url, home=self.home)[0]


def sorted_rows(rows) -> list[tuple]:
    return sorted((tuple(row) for row in rows), key=repr)


@pytest.fixture(params=FOLDERS)
def old(request, dialect: str, url: str | None, tmp_path: Path) -> Old:
    folder, home = RELEASED / request.param, tmp_path / "home"
    shutil.copytree(folder / "blobs", home / "blobs")
    file = home / "registry.db" if dialect == "sqlite" else tmp_path / "rows.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((folder / "registry.sql").read_text(encoding="utf-8"))
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' "
            "AND name NOT IN ('alembic_version', 'sqlite_stat1')"
        )
        rows = {name: list(connection.execute(f'SELECT * FROM "{name}"')) for (name,) in names}
    if url is not None:
        fill(url, request.param, rows)
    return Old(url, home, request.param, {name: sorted_rows(rows[name]) for name in rows})


def fill(url: str, revision: str, rows: Rows) -> None:
    """Make the tables of a revision on a server, and insert the rows as a release wrote them."""
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    database = Database(locate(url, Path()))
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        metadata = MetaData()
        metadata.reflect(connection)
        for table in metadata.sorted_tables:
            if rows.get(table.name):
                names = table.columns.keys()
                connection.execute(
                    insert(table), [dict(zip(names, row, strict=True)) for row in rows[table.name]]
                )
            if "id" in table.c:
                connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "
                        f"coalesce(max(id), 0) + 1, false) FROM {table}"
                    )
                )
    database.close()


@pytest.fixture
def new_draft(tmp_path: Path) -> Callable[[Patch], Draft]:
    """A draft of the next version of a patch, which has another request."""

    def make(known: Patch) -> Draft:
        folder = tmp_path / "draft"
        folder.mkdir()
        requests = [EditRequest("{} speaks", "Danielle Darrieux", "English")]
        files = write_files(folder, known.operations, {}, requests)
        return Draft(replace(known.manifest, files=files), folder)

    return make


def test_every_table_of_a_release_has_rows(old):
    assert [name for name, rows in old.rows.items() if not rows] == []


def test_it_is_not_opened_before_and_says_what_to_do(old):
    with pytest.raises(SchemaTooOld, match=old.revision) as caught:
        old.open()
    assert "weightpatch db upgrade" in caught.value.hint
    assert old.state() == old.revision
    assert old.found() == old.rows


def test_upgrading_keeps_every_row_and_says_so_in_the_ledger(old):
    done = old.upgrade()
    assert (done.found, done.revision) == (old.revision, schema.REVISION)
    found = old.found()
    with old.open() as registry:
        report, entry = registry.verify_ledger(), registry.log(limit=1)[0]
    assert report.ok
    assert report.sound == len(old.rows["ledger"]) + 1
    assert (entry.action, entry.actor) == ("registry.upgrade", "bob")
    assert entry.detail == {"from": old.revision, "to": schema.REVISION}

    ledger = found.pop("ledger")
    assert set(old.rows["ledger"]) < set(ledger)
    assert found == {name: rows for name, rows in old.rows.items() if name != "ledger"}


def test_an_upgraded_registry_is_guarded_like_a_new_one(old):
    old.upgrade()
    database = Database(locate(old.url, old.home))
    with database.reading() as connection:
        assert triggers.missing(connection) == []
        there = set(inspect(connection).get_table_names()) - {"alembic_version", "sqlite_stat1"}
    assert there == set(schema.metadata.tables)
    database.close()


def test_an_upgraded_registry_has_what_searches_need(old):
    old.upgrade()
    database = Database(locate(old.url, old.home))
    with database.reading() as connection:
        versions = connection.scalar(text("SELECT count(*) FROM version"))
        for query in (
            "SELECT count(*) FROM provenance",
            "SELECT count(DISTINCT version_id) FROM term WHERE field = 'word'",
            "SELECT count(DISTINCT version_id) FROM term WHERE field = 'subject'",
        ):
            assert connection.scalar(text(query)) == versions
        means = text("SELECT measure, before, after FROM mean")
        assert ("rome.es", 0.25, 0.875) in [tuple(row) for row in connection.execute(means)]
    database.close()


def test_an_upgraded_registry_goes_on_where_it_was(old, new_draft):
    old.upgrade()
    with old.open() as registry:
        draft = new_draft(registry.patch("acme/one@2"))
        assert registry.publish(draft).label == "acme/one@3"
        assert registry.patch("acme/one@1").operations
        assert registry.patch("acme/both").manifest.parents
        (evaluation,) = registry.evaluations(registry.resolve("acme/one@2").digest)
        assert evaluation.path.is_file()
        assert registry.add_remote("team", "/drive").is_new
        assert registry.remote_at("team") == "/drive"
        assert registry.verify_ledger().ok


def test_making_a_registry_where_an_older_one_is_upgrades_it_alike(old):
    with Registry.create(old.url, home=old.home, actor="bob") as registry:
        actions = [entry.action for entry in registry.log(limit=100)]
    assert actions[0] == "registry.upgrade"
    assert actions.count("registry.create") == 1
    assert len(list(old.home.glob("*.bak-*"))) == (old.url is None)


def test_two_upgrades_at_once_are_one(old):
    upgraders = [old.start_upgrade() for _ in range(4)]
    assert [upgrader.wait() for upgrader in upgraders] == [0] * 4
    with old.open() as registry:
        actions = [entry.action for entry in registry.log(limit=100)]
        assert registry.verify_ledger().ok
    assert actions.count("registry.upgrade") == 1


def test_killed_on_the_way_it_is_as_it_was(old):
    outcomes = []
    for last in range(3, 1000, 25):
        outcomes.append(old.start_upgrade(last).wait())
        if outcomes[-1] == 0:
            break
        assert old.state() == old.revision
        assert old.found() == old.rows
    assert set(outcomes[:-1]) == {-signal.SIGKILL}
    assert outcomes[-1] == 0
    assert len(outcomes) > 2
    with old.open() as registry:
        assert registry.verify_ledger().ok


class TestCopy:
    """What is put aside of an SQLite database."""

    @pytest.fixture
    def dialect(self) -> str:
        return "sqlite"

    def test_the_copy_is_the_registry_as_it_was(self, old, tmp_path):
        done = old.upgrade()
        assert done.copy == old.home / COPY.format(old.revision)
        (tmp_path / "before").mkdir()
        shutil.copy(done.copy, tmp_path / "before" / "registry.db")
        before = replace(old, home=tmp_path / "before")
        assert before.found() == old.rows
        assert before.state() == old.revision
        assert not list(old.home.glob("*.partial-*"))

    def test_what_was_not_yet_in_the_file_itself_is_in_the_copy(self, old):
        file = old.home / "registry.db"
        with closing(sqlite3.connect(file)) as writer, closing(sqlite3.connect(file)) as reader:
            writer.execute("PRAGMA journal_mode=WAL")
            reader.execute("SELECT count(*) FROM base").fetchone()
            with writer:
                writer.execute("UPDATE base_location SET location = '/models/moved'")
            assert (old.home / "registry.db-wal").stat().st_size
            copy = old.upgrade().copy
        with closing(sqlite3.connect(copy)) as connection:
            moved = connection.execute("SELECT location FROM base_location").fetchall()
        assert moved == [("/models/moved",)]

    def test_no_file_is_overwritten(self, old):
        there = old.home / COPY.format(old.revision)
        there.write_text("mine")
        done = old.upgrade()
        assert done.copy.name == COPY.format(old.revision) + "-2"
        assert there.read_text() == "mine"

    def test_upgrading_again_makes_no_other_copy(self, old):
        old.upgrade()
        assert old.upgrade().copy is None
        assert len(list(old.home.glob("*.bak-*"))) == 1

    def test_without_room_for_a_copy_nothing_is_upgraded(self, old, monkeypatch):
        usage = shutil.disk_usage(old.home)._replace(free=10_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
        with pytest.raises(NoSpace) as caught:
            old.upgrade()
        assert caught.value.code == "E_SPACE"
        assert old.found() == old.rows
        assert not list(old.home.glob("*.bak-*"))

    def test_a_damaged_database_is_not_upgraded(self, old):
        file = old.home / "registry.db"
        with closing(sqlite3.connect(file)) as connection:
            (page,) = connection.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'score'"
            ).fetchone()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
        with file.open("rb+") as opened:
            opened.seek((page - 1) * size)
            opened.write(b"\xff" * size)
        with pytest.raises(DatabaseFailed, match=r"damaged|malformed"):
            old.upgrade()
        assert old.state() == old.revision
        assert not [path for path in old.home.iterdir() if "bak" in path.name]
