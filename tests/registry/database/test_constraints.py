"""What the database itself refuses, whoever asks: by checks, references and triggers."""

import sqlite3
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import CheckConstraint
from weightpatch.registry.database import schema, triggers
from weightpatch.registry.errors import DatabaseFailed

REFUSED = (sqlite3.IntegrityError, psycopg.errors.IntegrityError, psycopg.errors.RaiseException)
STAYS = "never changed or taken away"
TABLES = sorted(schema.metadata.tables)
FROZEN = sorted([*triggers.FROZEN, *triggers.PARTLY_FROZEN])
GUARDED_AT_INSERT = {"ledger": "ledger_extend", "alias_move": "alias_move_follow"}
DIGEST = "d" * 64
TIME = "2026-03-03T12:00:00Z"
HISTORY = (
    "INSERT INTO standing VALUES (1, 1, 'yanked', 'minor', 'wrong')",
    "INSERT INTO alias_move VALUES (1, 1, 'stable', NULL, 1, '')",
    "INSERT INTO build VALUES (1, '/models/build', 'pico')",
    f"INSERT INTO build_version VALUES (1, 0, '{DIGEST}')",
    "INSERT INTO remote (location) VALUES ('/drive')",
    "INSERT INTO remote_name VALUES (1, 'team', '/drive')",
    "INSERT INTO transfer VALUES (1, 1, 1, 'push', NULL)",
    f"INSERT INTO base VALUES (1, '{DIGEST}', 'pico', NULL, NULL, '2026-03-03T12:00:00Z')",
    f"INSERT INTO base_tensor VALUES (1, 'w', 'F32', '[2]', '{DIGEST}')",
    f"INSERT INTO base_location (base_id, location, seen) VALUES (1, '/pico', '{TIME}')",
    f"INSERT INTO version_parent VALUES (1, 0, '{DIGEST}')",
)

NOT_SHA256 = ["", "abc", "A" * 64, "g" * 64, "a" * 65]
NOT_UTC = ["", "yesterday", "2026-03-03 12:00:00", "2026-03-03T12:00:00+1"]
NOT_SPELLED = ["", "A", "a/b", "-a", "a.", "a b", "ä", "a" * 97, "a'b", "a\n"]
ENDINGS = {
    "_sha256": NOT_SHA256,
    "_utc": NOT_UTC,
    "_short": ["x" * 1001],
    "_spelling": NOT_SPELLED,
    "_least": [-1],
    "_length": [b"", b"\0" * 31, b"\0" * 33],
    "_given": [""],
    "_known": ["other", ""],
    "_range": [0, 1_000_000_001],
    "_no_number": ["7", "2026"],
}
"""Values that a constraint must refuse, by how its name goes on after its column."""


@pytest.fixture
def full(registry, make_draft, make_evaluation, sql, script) -> Callable[..., list[tuple]]:
    """A registry with a row in every table, and the means to send it any statement."""
    info = registry.publish(make_draft("acme/tongues"))
    registry.record_evaluation(info.digest, "f" * 64, make_evaluation())
    script(HISTORY)
    return sql


@pytest.fixture
def insert(full, dialect) -> Callable[..., None]:
    """Insert a table's first row once more, with other values, and a new number if it has one."""

    def run(table: str, verb: str = "INSERT", **values: object) -> None:
        names = schema.metadata.tables[table].columns.keys()
        (row, *_) = full(f"SELECT {', '.join(map(quoted, names))} FROM {table}")
        row = {**dict(zip(names, row, strict=True)), **values}
        if "id" in row and "id" not in values:
            del row["id"]
        marks = ", ".join("?" * len(row))
        columns = ", ".join(map(quoted, row))
        full(f"{verb} INTO {table} ({columns}) VALUES ({marks})", *row.values())

    return run


@pytest.fixture
def unguarded(full, script, dialect) -> None:
    """Take away the triggers that refuse a row before its checks are looked at."""
    if dialect == "postgresql":
        script(f"DROP TRIGGER {name} ON {table}" for table, name in GUARDED_AT_INSERT.items())
        return
    replacing = [f"{table}_refuse_replace" for table in FROZEN]
    script(f"DROP TRIGGER {name}" for name in (*GUARDED_AT_INSERT.values(), *replacing))


def quoted(name: str) -> str:
    return f'"{name}"'


def checks(table: str) -> list[str]:
    """Names of a table's CHECK constraints."""
    constraints = schema.metadata.tables[table].constraints
    return sorted(str(each.name) for each in constraints if isinstance(each, CheckConstraint))


def wrong_values(table: str, check: str) -> list[dict[str, object]]:
    """Columns of a row that a CHECK constraint must refuse."""
    if check == "ck_standing_severity_given":
        return [{"state": "yanked", "severity": None}]
    subject = check.removeprefix(f"ck_{table}_")
    ending = next(ending for ending in ENDINGS if subject.endswith(ending))
    return [{subject.removesuffix(ending): value} for value in ENDINGS[ending]]


def test_every_table_has_a_row(full):
    assert [name for name in TABLES if not full(f"SELECT 1 FROM {name}")] == []


def test_every_check_refuses_what_it_is_for(insert, unguarded, subtests):
    for table, check in [(each, check) for each in TABLES for check in checks(each)]:
        for wrong in wrong_values(table, check):
            with subtests.test(table=table, **wrong):
                with pytest.raises(REFUSED, match=f"ck_{table}_") as caught:
                    insert(table, **wrong)
                assert check in str(caught.value) or len(checks(table)) > 1


def test_two_patches_never_have_one_name(insert, unguarded):
    with pytest.raises(REFUSED, match=r"(?i)unique"):
        insert("patch")


LOST = (
    ("base_tensor", {"base_id": 99}),
    ("base_location", {"base_id": 99, "location": "/elsewhere"}),
    ("version", {"patch_id": 99, "digest": "e" * 64}),
    ("version_parent", {"version_id": 99}),
    ("version_base", {"version_id": 99}),
    ("version_tensor", {"version_id": 99}),
    ("operation", {"version_id": 99}),
    ("request", {"version_id": 99}),
    ("version_file", {"version_id": 99}),
    ("version_file", {"path": "other", "digest": "e" * 64}),
    ("evaluation", {"version_id": 99}),
    ("evaluation", {"digest": "e" * 64}),
    ("score", {"evaluation_id": 99}),
    ("mean", {"evaluation_id": 99}),
    ("provenance", {"version_id": 99}),
    ("term", {"version_id": 99}),
    ("standing", {"seq": 99}),
    ("standing", {"seq": 2, "version_id": 99}),
    ("alias_move", {"seq": 99, "from_id": 1}),
    ("alias_move", {"seq": 2, "from_id": 1, "to_id": 99}),
    ("build", {"seq": 99}),
    ("build_version", {"seq": 99}),
    ("remote_name", {"seq": 99}),
    ("transfer", {"seq": 99}),
    ("transfer", {"seq": 2, "remote_id": 99}),
    ("transfer", {"seq": 2, "version_id": 99}),
)


def test_rows_refer_to_rows_that_are_there(full, registry, subtests):
    def insert(table: str, values: dict[str, object]) -> None:
        names = schema.metadata.tables[table].columns.keys()
        (row, *_) = full(f"SELECT {', '.join(map(quoted, names))} FROM {table}")
        row = {**dict(zip(names, row, strict=True)), **values}
        if table == "evaluation" and "digest" not in values:
            row["digest"] = full("SELECT digest FROM version_file")[0][0]
        row.pop("id", None)
        with registry._store.database.writing() as connection:
            connection.execute(schema.metadata.tables[table].insert(), row)

    for table, values in LOST:
        with (
            subtests.test(table=table, **values),
            pytest.raises(DatabaseFailed, match=r"(?i)foreign key"),
        ):
            insert(table, values)


def test_rows_are_never_taken_away(full):
    for table in FROZEN:
        with pytest.raises(REFUSED, match=STAYS):
            full(f"DELETE FROM {table}")


def test_rows_never_change(full):
    for table in FROZEN:
        columns = triggers.PARTLY_FROZEN.get(table) or schema.metadata.tables[table].columns.keys()
        for column in map(quoted, columns):
            with pytest.raises(REFUSED, match=STAYS):
                full(f"UPDATE {table} SET {column} = {column}")


def test_an_evaluation_may_turn_out_to_be_from_here(full):
    full("UPDATE evaluation SET origin = 'there'")
    full("UPDATE evaluation SET origin = 'here'")
    assert full("SELECT origin FROM evaluation") == [("here",)]
    assert set(triggers.PARTLY_FROZEN["evaluation"]) == set(schema.evaluation.c.keys()) - {"origin"}


def test_a_patch_is_never_renamed_and_its_counter_never_goes_back(full):
    for column in ("namespace", "name", "folded"):
        with pytest.raises(REFUSED, match=STAYS):
            full(f"UPDATE patch SET {column} = 'other'")
    with pytest.raises(REFUSED, match="never used again"):
        full("UPDATE patch SET next_version = 1")
    full("UPDATE patch SET next_version = 9")
    assert full("SELECT next_version FROM patch") == [(9,)]


def test_an_alias_moves_from_where_it_is(full):
    move = "INSERT INTO alias_move VALUES (?, 1, 'stable', ?, ?, '')"
    for elsewhere in (None, 2):
        with pytest.raises(REFUSED, match="moves from where it is"):
            full(move, 2, elsewhere, 1)
    full(move, 2, 1, None)
    with pytest.raises(REFUSED, match="moves from where it is"):
        full(move, 3, 1, None)
    full("INSERT INTO alias_move VALUES (?, 1, 'other', ?, ?, '')", 3, None, 1)


@pytest.mark.parametrize("seq", [1, 2, 5, 0])
def test_a_ledger_entry_follows_the_last_one(insert, seq):
    with pytest.raises(REFUSED, match=rf"follow the last one|{STAYS}"):
        insert("ledger", seq=seq)


class TestOnSQLite:
    @pytest.fixture
    def dialect(self) -> str:
        return "sqlite"

    def test_no_row_is_replaced_by_another(self, insert, full):
        """Nor by a program that has not told SQLite to let triggers see replaced rows go."""
        for table in FROZEN:
            before = full(f"SELECT * FROM {table}")
            number = {"id": 1} if "id" in schema.metadata.tables[table].c else {}
            with pytest.raises(REFUSED, match=STAYS):
                insert(table, verb="INSERT OR REPLACE", **number)
            assert full(f"SELECT * FROM {table}") == before

    @pytest.mark.parametrize(
        ("table", "values"),
        [
            ("version", {"id": 9, "number": 9}),
            ("version", {"id": 9, "digest": "e" * 64}),
            ("patch", {"id": 9, "name": "other"}),
            ("remote", {"id": 9}),
            ("evaluation", {"id": 9}),
        ],
    )
    def test_no_row_is_replaced_by_one_that_has_something_of_it(self, insert, full, table, values):
        before = full(f"SELECT * FROM {table}")
        with pytest.raises(REFUSED, match=STAYS):
            insert(table, verb="INSERT OR REPLACE", **values)
        assert full(f"SELECT * FROM {table}") == before


class TestOnPostgreSQL:
    @pytest.fixture
    def dialect(self) -> str:
        return "postgresql"

    def test_no_table_is_emptied(self, full):
        for table in FROZEN:
            with pytest.raises(REFUSED, match=STAYS):
                full(f"TRUNCATE {table} CASCADE")

    def test_no_row_is_replaced_by_another(self, full):
        for table in FROZEN:
            first = quoted(schema.metadata.tables[table].columns.keys()[0])
            with pytest.raises(REFUSED, match=STAYS):
                full(
                    f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ON CONSTRAINT "
                    f"pk_{table} DO UPDATE SET {first} = excluded.{first}"
                )
