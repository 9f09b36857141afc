"""What the database itself refuses, whoever asks."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.errors import DatabaseFailed


@pytest.fixture
def refused(registry, make_draft, make_evaluation, home):
    """Check that a statement fails, on a registry with one version, without our pragmas."""
    info = registry.publish(make_draft("acme/tongues"))
    registry.record_evaluation(info.digest, "f" * 64, make_evaluation())

    def check(statement: str, *, match: str, foreign_keys: bool = True) -> None:
        with closing(sqlite3.connect(home / "registry.db")) as connection:
            connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
            with pytest.raises(sqlite3.IntegrityError, match=match):
                connection.execute(statement)

    return check


def test_a_version_never_changes_and_never_goes(refused):
    refused("UPDATE version SET message = 'other'", match="never changes")
    refused("DELETE FROM version", match="never goes away", foreign_keys=False)


def test_the_counter_never_goes_back(refused):
    refused("UPDATE patch SET next_version = 1", match="never used again")


@pytest.mark.parametrize("name", ["", "A", "a/b", "-a", "a.", "a b", "ä", "a" * 97, "a'b", "a\n"])
@pytest.mark.parametrize("column", ["namespace", "name"])
def test_names_are_spelled_as_the_rules_say(refused, column, name):
    quoted = name.replace("'", "''")
    refused(f"UPDATE patch SET {column} = '{quoted}'", match=f"ck_patch_{column}_spelling")


@pytest.mark.parametrize("digest", ["", "abc", "A" * 64, "g" * 64, "a" * 65])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("version_tensor", "before"),
        ("version_tensor", "after"),
        ("evaluation", "base"),
        ("evaluation", "suite_digest"),
    ],
)
def test_digests_are_64_hex_digits(refused, table, column, digest):
    refused(f"UPDATE {table} SET {column} = '{digest}'", match=f"ck_{table}_{column}_sha256")


@pytest.mark.parametrize("time", ["", "yesterday", "2026-03-03 12:00:00", "2026-03-03T12:00:00+1"])
def test_times_are_utc(refused, time):
    refused(f"UPDATE evaluation SET recorded = '{time}'", match="ck_evaluation_recorded_utc")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE version_file SET digest = '" + "0" * 64 + "'",
        "UPDATE operation SET version_id = 9",
        "UPDATE score SET evaluation_id = 9",
        "DELETE FROM blob",
        "DELETE FROM evaluation",
        "DELETE FROM patch",
    ],
)
def test_rows_refer_to_rows_that_are_there(refused, statement):
    refused(statement, match="FOREIGN KEY|never")


def test_our_connections_are_strict(registry, home):
    database = Database(locate(None, home))
    with database.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in (
                "foreign_keys",
                "recursive_triggers",
                "trusted_schema",
                "synchronous",
                "journal_mode",
                "busy_timeout",
            )
        }
    database.close()
    assert found == {
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "trusted_schema": 0,
        "synchronous": 2,
        "journal_mode": "wal",
        "busy_timeout": 30000,
    }


def test_a_reader_is_not_held_up_by_a_writer(registry, home, make_draft):
    database = Database(locate(None, home))
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE patch SET next_version = 7")
        assert registry.versions() == []
    database.close()


def test_a_failed_block_changes_nothing(registry, home, sql):
    database = Database(locate(None, home))
    statement = (
        "INSERT INTO patch (namespace, name, folded, next_version) VALUES ('a', 'b', 'b', {})"
    )

    def insert(*numbers: int) -> None:
        with database.writing() as connection:
            for number in numbers:
                connection.exec_driver_sql(statement.format(number))

    with pytest.raises(DatabaseFailed, match="ck_patch_next_version"):
        insert(1, 0)
    database.close()
    assert sql("SELECT * FROM patch") == []


def test_a_password_is_not_shown_when_the_database_cannot_be_reached():
    def connect() -> None:
        url = locate("postgresql://ada:secret@localhost:1/none", Path())
        with Database(url).reading():
            pass

    with pytest.raises(DatabaseFailed) as caught:
        connect()
    assert "secret" not in f"{caught.value.message}{caught.value.why}{caught.value.hint}"
