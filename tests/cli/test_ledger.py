"""ledger and log on the command line: what is verified, proved, kept elsewhere and filtered."""

import json
import sqlite3
from contextlib import closing

import pytest


@pytest.fixture
def kept(stocked, tmp_path):
    """A checkpoint that was written into a file."""
    file = tmp_path / "kept.txt"
    stocked.ok("ledger", "checkpoint", "--out", file)
    return file


def tamper(home, *statements: str) -> None:
    """Run SQL on the registry's database after dropping all triggers of the ledger."""
    with closing(sqlite3.connect(home / "registry.db")) as database, database:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger'"
        rules = database.execute(query.replace("name", "name, sql", 1)).fetchall()
        for name, _ in rules:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
        for _, rule in rules:
            database.execute(rule)


def test_a_checkpoint_is_printed_and_written_once(stocked, kept):
    text = kept.read_text()
    assert stocked.ok("ledger", "checkpoint") == text
    found = stocked.json("ledger", "checkpoint")
    assert (found["text"], found["size"]) == (text, int(text.splitlines()[1]))
    stocked.fails(1, "E_EXISTS", "ledger", "checkpoint", "--out", kept)
    assert kept.read_text() == text
    assert [file.name for file in kept.parent.glob(".kept*")] == []


def test_a_ledger_continues_the_checkpoint_until_its_end_is_cut_off(stocked, kept, tmp_path):
    said = stocked.ok("ledger", "verify", "--checkpoint", kept)
    assert "sound" in said
    assert "it continues the checkpoint" in said
    assert stocked.json("log", "--verify")["ok"] is True
    with closing(sqlite3.connect(tmp_path / "home" / "registry.db")) as database:
        ((last,),) = database.execute("SELECT max(seq) FROM ledger")
    tables = ("standing", "alias_move", "transfer")
    tamper(
        tmp_path / "home",
        *(f"DROP TRIGGER {table}_refuse_delete" for table in tables),
        *(f"DELETE FROM {table} WHERE seq = {last}" for table in tables),
        f"DELETE FROM ledger WHERE seq = {last}",
    )
    error = stocked.fails(3, "E_HISTORY", "ledger", "verify", "--checkpoint", kept)
    assert "the last 1 are gone" in error


def test_the_first_broken_entry_is_named(stocked, kept, tmp_path):
    tamper(tmp_path / "home", "UPDATE ledger SET actor = 'eve' WHERE seq = 2")
    error = stocked.fails(3, "E_VERIFY", "ledger", "verify", "--checkpoint", kept)
    assert "entry 2 is broken" in error
    assert "columns for searching" in error


def test_an_entry_is_proved_to_somebody_without_the_registry(stocked, kept, tmp_path):
    proof = tmp_path / "proof.json"
    stocked.ok("ledger", "prove", 2, "--out", proof)
    assert json.loads(proof.read_text()) == json.loads(stocked.ok("ledger", "prove", 2))
    (tmp_path / "home" / "registry.db").unlink()
    said = stocked.ok("ledger", "check", proof, "--checkpoint", kept)
    assert "it holds: entry 2" in said
    assert "tester" in said
    other = tmp_path / "other.txt"
    other.write_text(kept.read_text().replace("\n", "\n1", 1))
    stocked.fails(3, "E_VERIFY", "ledger", "check", proof, "--checkpoint", other)
    stocked.fails(1, "E_FORMAT", "ledger", "check", kept, "--checkpoint", kept)
    stocked.fails(1, "E_LIMIT", "ledger", "check", proof, "--checkpoint", proof)


def test_growth_is_proved(stocked, kept, tmp_path):
    old = kept.read_text().splitlines()[1]
    stocked.ok("alias", "acme/one", "stable", "--reason", "good")
    new, proof = tmp_path / "new.txt", tmp_path / "grown.json"
    stocked.ok("ledger", "checkpoint", "--out", new)
    stocked.ok("ledger", "prove", "--from", old, "--out", proof)
    said = stocked.ok("ledger", "check", proof, "--checkpoint", new, "--checkpoint", kept)
    assert f"it holds: {old} entries grew to" in said
    assert stocked.run("ledger", "check", proof, "--checkpoint", new).returncode == 2


def test_an_exported_ledger_verifies_alone(stocked, kept, tmp_path):
    out = tmp_path / "ledger.jsonl"
    stocked.ok("ledger", "export", "--out", out)
    assert stocked.ok("ledger", "export") == out.read_text()
    (tmp_path / "home" / "registry.db").unlink()
    assert "sound" in stocked.ok("ledger", "verify", "--export", out, "--checkpoint", kept)
    out.write_text(out.read_text().replace("tester", "eve", 1))
    error = stocked.fails(3, "E_VERIFY", "ledger", "verify", "--export", out)
    assert "entry 1 is broken" in error


def test_the_log_has_filters_and_pages(stocked):
    page = stocked.json("log", "--limit", "2")["entries"]
    found = stocked.run("log", "--limit", "2")
    assert f"--before {page[-1]['seq']}" in found.stderr
    older = stocked.json("ledger", "log", "--before", page[-1]["seq"])["entries"]
    assert older[0]["seq"] == page[-1]["seq"] - 1
    assert stocked.json("log", "--actor", "nobody")["entries"] == []
    pulls = stocked.json("log", "--action", "version.pull", "--actor", "tester")["entries"]
    assert {entry["action"] for entry in pulls} == {"version.pull"}
    day = page[0]["time"][:10]
    assert stocked.json("log", "--since", day, "--until", day)["entries"]
    assert stocked.json("log", "--until", "2020-01-01")["entries"] == []
    assert "version.yank" in stocked.run("log", "--action", "yank").stderr
    assert stocked.run("log", "--action", "version.explode").returncode == 2


@pytest.mark.parametrize(
    "time", ["yesterday", "2026-3-3", "2026-02-30", "2026-03-03 12:00", "2026-03-03T12:00:00"]
)
def test_a_time_has_one_spelling(stocked, time):
    found = stocked.run("log", "--since", time)
    assert found.returncode == 2
    assert "write 2026-03-03" in found.stderr
