"""db, init and the whole way of a patch, on SQLite and on PostgreSQL by URL."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

RELEASED = Path(__file__).parents[1] / "migrations" / "released" / "0001" / "registry.sql"


@pytest.fixture
def old(tmp_path) -> Path:
    """The home of a registry that an older weightpatch made."""
    home = tmp_path / "home"
    home.mkdir()
    with closing(sqlite3.connect(home / "registry.db")) as connection:
        connection.executescript(RELEASED.read_text(encoding="utf-8"))
    return home


@pytest.fixture
def on_server(desk, empty_postgresql, monkeypatch) -> Callable[..., object]:
    """Run commands with WEIGHTPATCH_DB naming an empty database of a server, without a driver."""
    url = empty_postgresql.set(drivername="postgresql").render_as_string(hide_password=False)
    monkeypatch.setenv("WEIGHTPATCH_DB", url)
    return desk


def test_the_state_of_the_database_is_told(desk):
    assert "no registry" in desk.ok("db", "current")
    desk.ok("init")
    document = desk.json("db", "current")
    assert (document["state"], document["current"]) == ("current", document["needed"])
    assert "nothing to do" in desk.ok("db", "upgrade")


def test_an_older_registry_waits_for_its_upgrade(desk, old):
    assert "weightpatch db upgrade" in desk.fails(1, "E_SCHEMA_OLD", "list")
    assert "weightpatch db upgrade" in desk.fails(1, "E_SCHEMA_OLD", "log")
    assert desk.json("db", "current")["state"] == "old"

    said = desk.ok("db", "upgrade")
    (copy,) = old.glob("registry.db.0001.bak-*")
    assert "from schema 0001 to" in said
    assert str(copy) in said
    assert "acme/one@2" in desk.ok("list")
    assert "registry.upgrade" in desk.ok("log")


def test_init_upgrades_an_older_registry_and_says_where_its_copy_is(desk, old):
    said = desk.ok("init")
    (copy,) = old.glob("registry.db.0001.bak-*")
    assert str(copy) in said
    assert "ready" in said


def test_a_whole_day_on_postgresql(on_server, tmp_path):
    on_server.ok("init")
    assert not (tmp_path / "home" / "registry.db").exists()
    on_server.ok("pull", "acme/one", on_server.exchange)
    assert [each["name"] for each in on_server.json("list")["versions"]] == ["acme/one"]
    assert "France" in on_server.ok("show", "acme/one")
    on_server.ok("push", "acme/one", tmp_path / "drive")
    actions = [entry["action"] for entry in on_server.json("log")["entries"]]
    assert actions == ["version.push", "version.pull", "version.admit", "registry.create"]
    assert on_server.json("db", "current")["state"] == "current"
    assert "nothing to do" in on_server.ok("db", "upgrade")
    assert "pg_dump" in on_server.ok("db", "upgrade", "--help")


def test_a_server_that_is_not_there_is_told_without_its_password(desk):
    url = "postgresql://ada:s3cret@localhost:1/registry"
    said = desk.fails(1, "E_DATABASE", "list", "--db", url)
    assert "cannot be reached" in said
    assert "s3cret" not in said


def test_errors_of_the_database_are_json_where_asked(desk):
    found = desk.run("list", "--db", "mysql://here/db", "--json")
    assert json.loads(found.stderr)["error"]["code"] == "E_DATABASE"
