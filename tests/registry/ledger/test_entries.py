"""The ledger: what it says, that the database keeps it, and that every change of it shows."""

import hashlib
import json
import sqlite3
from contextlib import closing

import pytest
from weightpatch.patches.errors import LimitExceeded, ManifestError
from weightpatch.registry.database import triggers
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.errors import DatabaseFailed, NotFound
from weightpatch.registry.registry import Registry

COLUMNS = [
    "seq",
    "prev_hash",
    "entry_hash",
    "body",
    "time",
    "actor",
    "action",
    "label",
    "patch",
    "digest",
]
DEFENCES = ("ledger_refuse_update", "ledger_refuse_delete", "ledger_extend")


@pytest.fixture
def history(registry, make_draft) -> Registry:
    """A registry with a ledger of five entries; the last three are of versions."""
    registry.record("version.push", "somewhere")
    for seed in range(3):
        registry.publish(make_draft(seed=seed))
    return registry


@pytest.fixture
def disarmed(history, sql) -> Registry:
    """The same after somebody took away all that protects the ledger."""
    for trigger in DEFENCES:
        sql(f"DROP TRIGGER {trigger}")
    sql("CREATE TABLE copy AS SELECT * FROM ledger")
    sql("DROP TABLE ledger")
    sql("ALTER TABLE copy RENAME TO ledger")
    return history


def test_an_entry_says_who_did_what_to_what_when(registry, make_draft):
    info = registry.publish(make_draft("acme/tongues", message="because"))
    entry = registry.log()[0]
    assert (entry.seq, entry.actor, entry.action) == (2, "ada", "version.publish")
    assert (entry.subject, entry.digest) == ("acme/tongues@1", info.digest)
    assert entry.detail == {"author": "ada", "message": "because", "method": "rome"}
    assert entry.time.startswith("2026-03-03T12:00:0")


def test_the_first_entry_is_the_registry_itself(registry):
    (entry,) = registry.log()
    assert (entry.seq, entry.action) == (1, "registry.create")


def test_the_chain_can_be_computed_by_hand(history, sql):
    previous = bytes(32)
    for seq, before, after, body in sql("SELECT seq, prev_hash, entry_hash, body FROM ledger"):
        assert json.loads(body)["seq"] == seq
        assert before == previous
        leaf = hashlib.sha256(b"\x00" + body).digest()
        previous = hashlib.sha256(previous + leaf).digest()
        assert after == previous
    report = history.verify_ledger()
    assert (report.ok, report.sound, report.head) == (True, 5, previous.hex())
    assert history.log()[0].entry_hash == report.head


def test_the_log_of_a_patch_and_of_a_version(registry, make_draft, make_evaluation):
    one = registry.publish(make_draft("acme/a", seed=1))
    registry.publish(make_draft("acme/b", seed=2))
    registry.publish(make_draft("acme/a", seed=3))
    registry.record_evaluation(one.digest, "f" * 64, make_evaluation())
    registry.record("build.apply", one.label, one.digest, {"out": "./fixed"})

    def seen(reference: str) -> list[tuple[str, str]]:
        return [(entry.action, entry.subject) for entry in registry.log(reference=reference)]

    of_one = [
        ("build.apply", "acme/a@1"),
        ("version.evaluate", "acme/a@1"),
        ("version.publish", "acme/a@1"),
    ]
    assert seen("acme/a@1") == seen(f"sha256:{one.digest}") == of_one
    assert seen("acme/a") == [*of_one[:2], ("version.publish", "acme/a@2"), of_one[2]]
    assert seen("acme/b") == [("version.publish", "acme/b@1")]
    with pytest.raises(NotFound):
        registry.log(reference="acme/c")


def test_pages_of_the_log(history):
    assert [entry.seq for entry in history.log(limit=2)] == [5, 4]
    assert [entry.seq for entry in history.log(limit=2, before=4)] == [3, 2]
    assert [entry.seq for entry in history.log(before=2)] == [1]


def test_only_known_actions_are_recorded(registry):
    with pytest.raises(ValueError, match=r"version\.explode"):
        registry.record("version.explode", "acme/tongues@1")


@pytest.mark.parametrize("detail", [{"a": float("nan")}, {"a": 2**60}, {"a": {1}}])
def test_a_detail_must_be_json(registry, detail):
    with pytest.raises(ManifestError):
        registry.record("version.push", "acme/tongues@1", None, detail)
    assert len(registry.log()) == 1


def test_an_entry_has_a_largest_size(registry):
    for label, detail in [("x" * 513, {}), ("x", {"a": "x" * (256 << 10)})]:
        with pytest.raises(LimitExceeded):
            registry.record("version.push", label, None, detail)
    assert len(registry.log()) == 1


FORBIDDEN = {
    "update": "UPDATE ledger SET actor = 'eve' WHERE seq = 3",
    "delete": "DELETE FROM ledger WHERE seq = 5",
    "delete all": "DELETE FROM ledger",
    "replace": "INSERT OR REPLACE INTO ledger SELECT * FROM ledger WHERE seq = 3",
    "replace the last": "REPLACE INTO ledger SELECT seq, prev_hash, zeroblob(32), body, time, "
    "'eve', action, label, patch, digest FROM ledger WHERE seq = 5",
    "skip a number": "INSERT INTO ledger SELECT seq + 2, entry_hash, zeroblob(32), body, time, "
    "actor, action, label, patch, digest FROM ledger WHERE seq = 5",
    "fork": "INSERT INTO ledger SELECT seq + 1, prev_hash, zeroblob(32), body, time, "
    "actor, action, label, patch, digest FROM ledger WHERE seq = 5",
    "upsert": "INSERT INTO ledger SELECT * FROM ledger WHERE seq = 3 "
    "ON CONFLICT (seq) DO UPDATE SET actor = 'eve'",
}


@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=list(FORBIDDEN))
def test_the_database_lets_the_ledger_only_grow(history, home, statement, recursive_triggers):
    with closing(sqlite3.connect(home / "registry.db")) as connection:
        connection.execute(f"PRAGMA recursive_triggers={recursive_triggers}")
        with pytest.raises(sqlite3.IntegrityError, match="ledger"):
            connection.execute(statement)
    assert history.verify_ledger().ok
    assert {entry.actor for entry in history.log()} == {"ada"}


def flipped(value: object, index: int) -> object:
    if isinstance(value, int):
        return value ^ (1 << index)
    data = bytearray(value if isinstance(value, bytes) else str(value).encode())
    data[index] ^= 1
    return bytes(data) if isinstance(value, bytes) else data.decode()


@pytest.mark.parametrize("column", COLUMNS)
def test_every_flipped_byte_is_found(disarmed, sql, column):
    ((value,),) = sql(f"SELECT {column} FROM ledger WHERE seq = 4")
    length = 8 if isinstance(value, int) else len(value)
    for index in range(length):
        sql(f"UPDATE ledger SET {column} = ? WHERE rowid = 4", flipped(value, index))
        report = disarmed.verify_ledger()
        assert report.broken in (1, 4), f"byte {index}"  # a number flipped down comes first
        sql(f"UPDATE ledger SET {column} = ? WHERE rowid = 4", value)
    assert disarmed.verify_ledger().broken is None


@pytest.mark.parametrize("column", COLUMNS)
def test_a_value_of_another_kind_is_found(disarmed, sql, column):
    for value in (None, "", b"", 0, 1.5, "[]", b"\xff"):
        sql(f"UPDATE ledger SET {column} = ? WHERE rowid = 4", value)
        assert disarmed.verify_ledger().broken is not None, value


@pytest.mark.parametrize("seq", [1, 3])
def test_a_deleted_row_is_found(disarmed, sql, seq):
    sql("DELETE FROM ledger WHERE seq = ?", seq)
    report = disarmed.verify_ledger()
    assert (report.broken, report.sound) == (seq, seq - 1)
    assert "missing" in report.flaw


def test_two_swapped_rows_are_found(disarmed, sql):
    sql("UPDATE ledger SET seq = CASE seq WHEN 3 THEN 4 WHEN 4 THEN 3 ELSE seq END")
    assert disarmed.verify_ledger().broken == 3


def test_two_swapped_bodies_are_found(disarmed, sql):
    sql(
        "UPDATE ledger AS a SET body = (SELECT body FROM ledger AS b WHERE b.seq = 7 - a.seq) "
        "WHERE seq IN (3, 4)"
    )
    assert disarmed.verify_ledger().broken == 3


def test_a_body_that_is_not_ours_under_a_right_hash_is_found(disarmed, sql):
    ((previous,),) = sql("SELECT entry_hash FROM ledger WHERE seq = 5")
    for body in (b"\xff", b"[]", b"{}", b'{"seq": 6, "subject": 1}'):
        leaf = hashlib.sha256(b"\x00" + body).digest()
        entry = hashlib.sha256(previous + leaf).digest()
        sql(
            "INSERT INTO ledger (seq, prev_hash, entry_hash, body) VALUES (6, ?, ?, ?)",
            previous,
            entry,
            body,
        )
        assert disarmed.verify_ledger().broken == 6
        with pytest.raises(DatabaseFailed, match="cannot be read"):
            disarmed.log()
        sql("DELETE FROM ledger WHERE seq = 6")


def test_a_cut_tail_is_only_seen_by_who_kept_the_head(disarmed, sql):
    head = disarmed.verify_ledger().head
    sql("DELETE FROM ledger WHERE seq = 5")
    report = disarmed.verify_ledger()
    assert report.broken is None
    assert report.head != head


@pytest.fixture
def unguarded(history, sql) -> Registry:
    """The same after somebody dropped all triggers, and nothing else."""
    for trigger in sorted(triggers.declared("sqlite")):
        sql(f"DROP TRIGGER {trigger}")
    return history


def test_dropped_triggers_are_a_flaw_of_a_sound_chain(unguarded):
    report = unguarded.verify_ledger()
    assert (report.ok, report.broken, report.sound) == (False, None, 5)
    assert set(report.unguarded) == triggers.declared("sqlite")
    assert "ledger_refuse_delete" in report.flaw


def test_a_first_row_deleted_without_triggers_is_found(unguarded, sql):
    sql("DELETE FROM ledger WHERE seq = 1")
    report = unguarded.verify_ledger()
    assert (report.ok, report.broken, report.sound) == (False, 1, 0)
    assert "entry 1 is missing, entry 2 follows" in report.flaw
    assert "ledger_refuse_delete" in report.flaw


def test_an_emptied_ledger_is_broken_also_with_its_triggers_back(unguarded, home, sql):
    sql("DELETE FROM ledger")
    with Database(locate(None, home)).writing() as connection:
        triggers.install(connection)
    report = unguarded.verify_ledger()
    assert (report.ok, report.broken, report.unguarded) == (False, 1, ())


def test_a_trigger_that_does_nothing_now_is_a_flaw(history, sql):
    sql("DROP TRIGGER ledger_refuse_delete")
    sql("CREATE TRIGGER ledger_refuse_delete BEFORE DELETE ON ledger BEGIN SELECT 1; END")
    assert history.verify_ledger().unguarded == ("ledger_refuse_delete",)


def test_a_path_that_is_not_text_is_written_with_backslashes(registry):
    detail = {"from": "/shared/\udcff\udcfe", "all": ["\udcff", 1], "\udcff": None}
    registry.record("version.push", "somewhere/\udcff", None, detail)
    entry = registry.log()[0]
    assert entry.subject == "somewhere/\\udcff"
    assert entry.detail == {
        "from": "/shared/\\udcff\\udcfe",
        "all": ["\\udcff", 1],
        "\\udcff": None,
    }
    assert registry.verify_ledger().ok
