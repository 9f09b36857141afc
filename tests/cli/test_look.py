"""list, show, log, push and pull, as a user and as a program read them."""

import shutil
import sqlite3
from contextlib import closing

from weightpatch.cli.output import Output


def test_list_has_one_row_a_version_newest_first(stocked):
    rows = stocked.ok("list").splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["acme/two@1", "acme/one@1"]


def test_list_as_json_has_a_schema(stocked):
    document = stocked.json("list")
    assert document["schema"] == "weightpatch.list/1"
    assert [version["name"] for version in document["versions"]] == ["acme/two", "acme/one"]


def test_show_says_what_and_from_what(stocked):
    page = stocked.ok("show", "acme/one")
    for word in ("acme/one@1", "sha256:", "rome", "ada", "France", "Lyon", "lowrank", "a fix"):
        assert word in page


def test_show_of_a_folder_needs_no_registry(desk):
    assert "acme/one@1" in desk.ok("show", desk.exchange / "acme" / "one" / "v1")


def test_a_version_is_found_by_the_beginning_of_its_digest(stocked):
    digest = stocked.json("show", "acme/one")["digest"]
    assert "acme/one@1" in stocked.ok("show", f"sha256:{digest[:10]}")


def test_log_tells_who_did_what(stocked):
    entries = stocked.json("log")["entries"]
    assert [entry["action"] for entry in entries][-1] == "registry.create"
    assert {entry["actor"] for entry in entries} == {"tester"}
    assert "version.pull" in stocked.ok("log", "acme/one")
    assert "acme/two" not in stocked.ok("log", "acme/one")


def test_pulling_again_changes_nothing(stocked):
    assert "already known" in stocked.ok("pull", "acme/one", stocked.exchange)


def test_a_version_travels_unchanged(stocked, tmp_path):
    (tmp_path / "drive").mkdir()
    stocked.ok("push", "acme/one", tmp_path / "drive")
    assert "already" in stocked.ok("push", "acme/one", tmp_path / "drive")
    for file in ("patch.json", "delta.safetensors", "requests.jsonl"):
        sent = tmp_path / "drive" / "acme" / "one" / "v1" / file
        assert sent.read_bytes() == (stocked.exchange / "acme/one/v1" / file).read_bytes()


def test_tables_into_a_pipe_are_not_cut(stocked):
    assert "…" not in stocked.ok("list")


def test_show_of_a_folder_works_beside_a_registry_that_does_not_hold_it(desk):
    desk.ok("init")
    assert "acme/one@1" in desk.ok("show", desk.exchange / "acme" / "one" / "v1")


def test_a_folder_does_not_shadow_a_version_of_the_same_name(stocked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stocked.exchange / "acme" / "two" / "v1", tmp_path / "acme" / "one")
    assert "acme/one@1" in stocked.ok("show", "acme/one")
    assert "acme/two@1" in stocked.ok("show", "./acme/one")


def test_the_ledger_is_verified(stocked):
    assert "sound" in stocked.ok("log", "--verify")


def test_a_ledger_that_was_tampered_with_is_found(stocked, tmp_path):
    with closing(sqlite3.connect(tmp_path / "home" / "registry.db")) as database, database:
        triggers = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'"
        ).fetchall()
        for (name,) in triggers:
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("DELETE FROM ledger WHERE seq = 1")
    stocked.fails(3, "E_VERIFY", "log", "--verify")


def test_a_narrow_terminal_cuts_no_identifier(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    rows = [[112, "version.evaluate", "acme/a-rather-long-name@12"]]
    Output(as_json=False).table(["#", "what", "of"], rows)
    shown = capsys.readouterr().out
    assert "112" in shown
    assert "version.evaluate" in shown
    assert "acme/a-rather-long-name" in shown
