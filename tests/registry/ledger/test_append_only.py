"""The database itself keeps the ledger's past, and verification sees when it was told not to."""

import sqlite3
from contextlib import closing

import psycopg
import pytest
from weightpatch.registry.database import triggers
from weightpatch.registry.database.connections import Database, locate

# The columns of a ledger row, with the last entry's number and hash where a new one goes wrong.
ROW = "entry_hash, {zeros}, body, time, actor, action, label, patch, digest FROM ledger"
FORBIDDEN = {
    "update": "UPDATE ledger SET actor = 'eve' WHERE seq = 3",
    "update nothing": "UPDATE ledger SET actor = actor",
    "update a key": "UPDATE ledger SET seq = 9 WHERE seq = 5",
    "delete": "DELETE FROM ledger WHERE seq = 5",
    "delete all": "DELETE FROM ledger",
    "skip a number": f"INSERT INTO ledger SELECT seq + 2, {ROW} WHERE seq = 5",
    "fork": f"INSERT INTO ledger SELECT seq + 1, {ROW} WHERE seq = 4",
    "before the first": f"INSERT INTO ledger SELECT seq - 1, {ROW} WHERE seq = 1",
    "upsert": "INSERT INTO ledger SELECT * FROM ledger WHERE seq = 3 "
    "ON CONFLICT (seq) DO UPDATE SET actor = 'eve'",
    "upsert the last": "INSERT INTO ledger SELECT * FROM ledger WHERE seq = 5 "
    "ON CONFLICT (seq) DO UPDATE SET actor = 'eve'",
}
ON_SQLITE = {
    "replace": "INSERT OR REPLACE INTO ledger SELECT * FROM ledger WHERE seq = 3",
    "replace the last": "REPLACE INTO ledger SELECT seq, prev_hash, zeroblob(32), body, time, "
    "'eve', action, label, patch, digest FROM ledger WHERE seq = 5",
    "update or replace": "UPDATE OR REPLACE ledger SET seq = 3 WHERE seq = 5",
}
ON_POSTGRESQL = {
    "truncate": "TRUNCATE ledger CASCADE",
    "merge": "MERGE INTO ledger USING (SELECT 3 AS seq) AS one ON ledger.seq = one.seq "
    "WHEN MATCHED THEN UPDATE SET actor = 'eve'",
    "with": "WITH gone AS (DELETE FROM ledger WHERE seq = 5 RETURNING *) SELECT * FROM gone",
}


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("recursive_triggers", ["ON", "OFF"])
@pytest.mark.parametrize("case", [*FORBIDDEN, *ON_SQLITE])
def test_sqlite_lets_the_ledger_only_grow(history, home, case, recursive_triggers):
    statement = {**FORBIDDEN, **ON_SQLITE}[case].format(zeros="zeroblob(32)")
    with closing(sqlite3.connect(home / "registry.db")) as connection:
        connection.execute(f"PRAGMA recursive_triggers={recursive_triggers}")
        with pytest.raises(sqlite3.IntegrityError, match="ledger"):
            connection.execute(statement)
    assert history.verify_ledger().ok
    assert {entry.actor for entry in history.log()} == {"ada"}


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("case", [*FORBIDDEN, *ON_POSTGRESQL])
def test_postgresql_lets_the_ledger_only_grow(history, sql, case):
    statement = {**FORBIDDEN, **ON_POSTGRESQL}[case]
    with pytest.raises(psycopg.Error, match="ledger"):
        sql(statement.format(zeros="decode(repeat('00', 32), 'hex')"))
    assert history.verify_ledger().ok
    assert {entry.actor for entry in history.log()} == {"ada"}


def test_dropped_triggers_are_a_flaw_of_a_sound_chain(unguarded, dialect):
    report = unguarded.verify_ledger()
    assert (report.ok, report.broken, report.sound) == (False, None, 5)
    assert set(report.unguarded) == set(triggers.declared(dialect))
    assert "ledger_extend" in report.flaw


def test_a_first_row_deleted_without_triggers_is_found(unguarded, sql):
    sql("DELETE FROM ledger WHERE seq = 1")
    report = unguarded.verify_ledger()
    assert (report.ok, report.broken, report.sound) == (False, 1, 0)
    assert "entry 1 is missing, entry 2 follows" in report.flaw
    assert "ledger_extend" in report.flaw


def test_an_emptied_ledger_is_broken_also_with_its_triggers_back(unguarded, url, home, sql):
    sql("DELETE FROM ledger")
    database = Database(locate(url, home))
    with database.writing() as connection:
        triggers.install(connection)
    database.close()
    report = unguarded.verify_ledger()
    assert (report.ok, report.broken, report.unguarded) == (False, 1, ())


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_trigger_that_does_nothing_now_is_a_flaw(history, sql):
    sql("DROP TRIGGER ledger_refuse_delete")
    sql("CREATE TRIGGER ledger_refuse_delete BEFORE DELETE ON ledger BEGIN SELECT 1; END")
    assert history.verify_ledger().unguarded == ("ledger_refuse_delete",)


TAMPERED = {
    "switched off": "ALTER TABLE ledger DISABLE TRIGGER ledger_refuse",
    "for replicas only": "ALTER TABLE ledger ENABLE REPLICA TRIGGER ledger_refuse",
    "of another moment": "DROP TRIGGER ledger_refuse ON ledger; "
    "CREATE TRIGGER ledger_refuse BEFORE TRUNCATE ON ledger "
    "FOR EACH STATEMENT EXECUTE FUNCTION weightpatch_refuse()",
    "of another function": "CREATE FUNCTION harmless() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN RETURN NULL; END'; DROP TRIGGER ledger_refuse ON ledger; "
    "CREATE TRIGGER ledger_refuse BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger "
    "FOR EACH STATEMENT EXECUTE FUNCTION harmless()",
}


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("statement", TAMPERED.values(), ids=list(TAMPERED))
def test_a_trigger_of_postgresql_that_guards_less_is_a_flaw(history, sql, statement):
    sql(statement)
    assert history.verify_ledger().unguarded == ("ledger_refuse",)


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_function_that_does_nothing_now_is_a_flaw_of_all_its_triggers(history, sql):
    sql(
        "CREATE OR REPLACE FUNCTION weightpatch_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RETURN NULL; END'"
    )
    sql("UPDATE ledger SET actor = 'eve' WHERE seq = 3")
    report = history.verify_ledger()
    assert report.broken == 3 or "ledger_refuse" in report.unguarded
    assert {"ledger_refuse", "version_refuse"} <= set(report.unguarded)
