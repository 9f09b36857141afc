"""Transactions that wait their turn, connections that are told what to do, and errors in words."""

import asyncio
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from weightpatch.registry.database import engines, statistics
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.errors import DatabaseFailed
from weightpatch.registry.registry import Registry

MANUAL = Path(__file__).parents[3] / "docs" / "databases.md"
PATCH = "INSERT INTO patch (namespace, name, folded, next_version) VALUES ('a', 'b', 'b', {})"


@pytest.fixture
def database(registry, url, home):
    opened = Database(locate(url, home))
    yield opened
    opened.close()


def told(error: DatabaseFailed) -> str:
    """All that a user would read of an error."""
    return f"{error.message} {error.why} {error.hint}"


def test_a_reader_is_not_held_up_by_a_writer(registry, database):
    with database.writing() as connection:
        connection.exec_driver_sql(PATCH.format(1))
        assert registry.versions() == []


def test_a_reader_sees_one_state_of_the_database(database):
    count = "SELECT count(*) FROM patch"
    with database.reading() as reader:
        assert reader.exec_driver_sql(count).scalar() == 0
        with database.writing() as writer:
            writer.exec_driver_sql(PATCH.format(1))
        assert reader.exec_driver_sql(count).scalar() == 0
    with database.reading() as reader:
        assert reader.exec_driver_sql(count).scalar() == 1


def test_a_failed_block_changes_nothing(database, sql):
    def insert() -> None:
        with database.writing() as connection:
            connection.exec_driver_sql(PATCH.format(1))
            connection.exec_driver_sql(PATCH.format(0).replace("'b'", "'c'"))

    with pytest.raises(DatabaseFailed, match="ck_patch_next_version"):
        insert()
    assert sql("SELECT * FROM patch") == []


def test_a_writer_waits_for_the_one_before(database):
    order = []

    def second() -> None:
        with database.writing():
            order.append("second")

    with database.writing():
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_a_writer_does_not_wait_for_ever(registry, database, monkeypatch, enter):
    monkeypatch.setattr(engines, "PATIENCE", 1)
    with registry._store.database.reading() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA busy_timeout=100")
    with (
        database.writing(),
        pytest.raises(DatabaseFailed, match="somebody else has been writing") as caught,
    ):
        enter(registry, "version.push", "acme/tongues@1")
    assert "try again" in caught.value.hint
    enter(registry, "version.push", "acme/tongues@1")


def test_a_copy_of_the_process_is_refused(registry, enter):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            registry.versions()
        except DatabaseFailed as error:
            os.write(writer, told(error).encode())
        registry.close()
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        assert "open the registry again in this process" in answer.read()
    enter(registry, "version.push", "acme/tongues@1")
    assert registry.verify_ledger().ok


def test_it_works_within_a_running_loop_as_in_a_notebook(registry, make_draft):
    async def cell() -> str:
        return registry.publish(make_draft()).label

    assert asyncio.run(cell()) == "acme/tongues@1"


class TestOnSQLite:
    @pytest.fixture
    def dialect(self) -> str:
        return "sqlite"

    def test_our_connections_are_strict(self, database):
        meant = {
            "foreign_keys": 1,
            "recursive_triggers": 1,
            "trusted_schema": 0,
            "synchronous": 2,
            "journal_mode": "wal",
            "journal_size_limit": 64 << 20,
            "busy_timeout": 30000,
        }
        with database.reading() as connection:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in meant}
        assert found == meant

    def test_a_file_named_from_here_stays_the_same_file_elsewhere(
        self, tmp_path, monkeypatch, make_draft
    ):
        monkeypatch.chdir(tmp_path)
        with Registry.create("sqlite:///team.db", home="blobs", actor="ada") as registry:
            (tmp_path / "elsewhere").mkdir()
            monkeypatch.chdir(tmp_path / "elsewhere")
            registry._store.database.engine.dispose()
            registry.publish(make_draft())
            assert registry.patch("acme/tongues").operations
        assert list((tmp_path / "elsewhere").iterdir()) == []

    def test_the_planner_is_told_how_large_tables_are_as_they_grow(
        self, registry, make_draft, sql, monkeypatch
    ):
        monkeypatch.setattr(statistics, "FEWEST", 4)
        counts = "SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = 'version'"

        def publish_till(seed: int) -> None:
            while len(registry.versions()) < seed:
                registry.publish(make_draft(seed=len(registry.versions())))
            registry.close()

        publish_till(2)
        assert sql("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'") == []
        publish_till(3)
        assert sql(counts) == [(3,)]
        publish_till(14)
        assert sql(counts) == [(3,)]
        publish_till(15)
        assert sql(counts) == [(15,)]


class TestOnPostgreSQL:
    @pytest.fixture
    def dialect(self) -> str:
        return "postgresql"

    def test_a_reader_cannot_write(self, database):
        with (
            pytest.raises(DatabaseFailed, match="read-only"),
            database.reading() as connection,
        ):
            connection.exec_driver_sql(PATCH.format(1))

    def test_the_server_knows_who_is_connected(self, database):
        with database.reading() as connection:
            assert connection.exec_driver_sql("SHOW application_name").scalar() == "weightpatch"

    def test_a_url_may_say_otherwise(self, url, home):
        database = Database(locate(f"{url}&application_name=nightly", home))
        with database.reading() as connection:
            assert connection.exec_driver_sql("SHOW application_name").scalar() == "nightly"
        database.close()

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
    def test_the_driver_need_not_be_named(self, registry, url, home, scheme):
        named = url.replace("postgresql+psycopg", scheme)
        with Registry.open(named, home=home, actor="ada") as opened:
            assert opened.verify_ledger().ok

    def test_an_empty_database_has_no_registry(self, empty_postgresql, home):
        url = empty_postgresql.render_as_string(hide_password=False)
        with pytest.raises(DatabaseFailed.__mro__[1], match="no registry") as caught:
            Registry.open(url, home=home, actor="ada")
        assert caught.value.code == "E_NO_REGISTRY"
        with Registry.create(url, home=home, actor="ada") as created:
            assert created.verify_ledger().ok

    def test_a_database_that_is_not_there(self, postgresql, home):
        url = postgresql.set(database="nosuch").render_as_string(hide_password=False)
        for door in (Registry.open, Registry.create):
            with pytest.raises(DatabaseFailed, match=r"cannot be reached.*nosuch") as caught:
                door(url, home=home, actor="ada")
            assert "createdb" in caught.value.hint

    def test_a_password_is_never_shown(self, postgresql, empty_postgresql, sql, home):
        sql("DROP ROLE IF EXISTS outsider")
        sql("CREATE ROLE outsider LOGIN PASSWORD 'right'")
        url = empty_postgresql.set(username="outsider", password="s3cret")
        with pytest.raises(DatabaseFailed) as caught:
            Registry.create(url.render_as_string(hide_password=False), home=home, actor="ada")
        assert "s3cret" not in told(caught.value)

    def test_a_password_with_an_unescaped_at_sign_is_not_taken_for_a_host(self, home):
        with pytest.raises(DatabaseFailed, match="more than one @") as caught:
            Registry.open("postgresql://ada:a@s3cret@localhost:1/none", home=home, actor="ada")
        assert "s3cret" not in told(caught.value)

    def test_a_server_that_nobody_runs(self, home):
        with pytest.raises(DatabaseFailed, match="cannot be reached") as caught:
            Registry.open("postgresql://ada:s3cret@localhost:1/none", home=home, actor="ada")
        assert "s3cret" not in told(caught.value)
        assert "server is up" in caught.value.hint

    def test_a_connection_that_was_lost_is_made_anew(self, registry, sql, make_draft):
        lost = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ?"
        registry.publish(make_draft())
        sql(lost, "weightpatch")
        assert registry.publish(make_draft(seed=1)).version == 2

    def test_a_connection_that_is_lost_within_a_transaction(self, database, sql):
        lost = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ?"

        def write() -> None:
            with database.writing() as connection:
                connection.exec_driver_sql(PATCH.format(1))
                sql(lost, "weightpatch")
                connection.exec_driver_sql(PATCH.format(2))

        with pytest.raises(DatabaseFailed, match="cannot be reached"):
            write()
        assert sql("SELECT * FROM patch") == []

    def test_a_writer_without_rights_is_told_so(self, registry, url, home, sql, make_draft):
        sql("DROP ROLE IF EXISTS reader")
        sql("CREATE ROLE reader LOGIN")
        sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        other = locate(url, home).set(username="reader").render_as_string(hide_password=False)
        try:
            with Registry.open(other, home=home, actor="eve") as opened:
                assert opened.verify_ledger().ok
                with pytest.raises(DatabaseFailed, match=r"does not allow.*permission denied"):
                    opened.publish(make_draft())
        finally:
            sql("DROP OWNED BY reader")
            sql("DROP ROLE reader")

    def test_the_roles_of_the_manual_can_do_their_work_and_no_more(
        self, registry, url, home, sql, make_draft, make_evaluation
    ):
        (recipe,) = re.findall(r"```sql\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
        sql("DROP ROLE IF EXISTS weightpatch_writer")
        sql("CREATE ROLE weightpatch_writer LOGIN")
        for statement in recipe.split(";\n"):
            if statement.strip():
                sql(statement)
        other = locate(url, home).set(username="weightpatch_writer")
        url = other.render_as_string(hide_password=False)
        try:
            with Registry.open(url, home=home, actor="eve") as opened:
                info = opened.publish(make_draft())
                for origin in ("elsewhere", "here"):
                    opened.record_evaluation(
                        info.digest, "f" * 64, make_evaluation(), origin=origin
                    )
                assert opened.verify_ledger().ok
                database = opened._store.database
                for statement in (
                    "ALTER TABLE ledger DISABLE TRIGGER ALL",
                    "DROP TRIGGER ledger_refuse ON ledger",
                    "UPDATE ledger SET actor = 'bob'",
                    "DELETE FROM version",
                    "TRUNCATE ledger CASCADE",
                    "UPDATE alembic_version SET version_num = '0001'",
                ):
                    refused = pytest.raises(DatabaseFailed, match="does not allow that")
                    with refused, database.writing() as connection:
                        connection.exec_driver_sql(statement)
        finally:
            sql("DROP OWNED BY weightpatch_writer")
            sql("DROP ROLE weightpatch_writer")

    def test_without_its_driver_it_says_what_to_install(self, tmp_path):
        code = (
            "import sys\n"
            "sys.modules['psycopg'] = None\n"
            "from weightpatch.registry.errors import DatabaseFailed\n"
            "from weightpatch.registry.registry import Registry\n"
            "try:\n"
            "    Registry.open('postgresql://here/x', home=sys.argv[1])\n"
            "except DatabaseFailed as error:\n"
            "    print(error.hint)\n"
        )
        answer = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert answer.stdout == 'pip install "weightpatch[postgres]"\n'


def test_another_driver_is_refused():
    with pytest.raises(DatabaseFailed, match="psycopg2"):
        locate("postgresql+psycopg2://here/registry", Path())


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("level", ["serializable", "repeatable%5C%20read"])
def test_writers_take_their_turn_whatever_the_server_does_by_default(url, home, make_draft, level):
    options = f"options=-c%20default_transaction_isolation%3D{level}"
    drafts = [make_draft(f"acme/{letter * 4}") for letter in "abcdef"]
    with Registry.create(f"{url}{'&' if '?' in url else '?'}{options}", home=home) as registry:
        writers = [threading.Thread(target=registry.publish, args=[draft]) for draft in drafts]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(registry.versions()) == len(drafts)
        assert registry.verify_ledger().ok
