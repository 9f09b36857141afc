"""The migrations: those that pytest-alembic asks about, and what it cannot see."""

import os
import re
import shutil
import subprocess
import sys
import uuid
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import catalogue
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from database_fixtures import execute
from pytest_alembic.tests import (  # noqa: F401 - collected by being here
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import URL, text
from weightpatch.registry.database import migrate, schema, triggers
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.errors import DatabaseFailed, RegistryMissing, SchemaTooNew, SchemaTooOld
from weightpatch.registry.registry import Registry, Upgrade

ROOT = Path(__file__).parents[2]


@pytest.fixture
def declared(dialect: str, tmp_path: Path, postgresql: URL) -> Iterator[Database]:
    """A database whose tables were made from their declarations, with no migration."""
    name = f"declared_{uuid.uuid4().hex}"
    if dialect == "postgresql":
        execute(postgresql, f"CREATE DATABASE {name}")
        url = postgresql.set(database=name)
    else:
        url = locate(f"sqlite:///{tmp_path / name}", tmp_path)
    opened = Database(url)
    with opened.writing() as connection:
        schema.metadata.create_all(connection)
        triggers.install(connection)
    yield opened
    opened.close()
    if dialect == "postgresql":
        execute(postgresql, f"DROP DATABASE {name} WITH (FORCE)")


def test_migrated_tables_are_the_declared_ones_with_every_check_and_trigger(database, declared):
    migrate.run(database)
    with database.reading() as connection:
        migrated = catalogue.tables(connection), catalogue.triggers(connection)
        assert triggers.missing(connection) == []
    with declared.reading() as connection:
        made = catalogue.tables(connection), catalogue.triggers(connection)
    assert migrated == made
    assert any("ck_version_digest_sha256" in line for line in made[0])


def test_every_constraint_has_a_name():
    unnamed = [
        (table.name, constraint)
        for table in schema.metadata.tables.values()
        for constraint in table.constraints
        if constraint.name is None
    ]
    assert unnamed == []


def test_triggers_are_the_declared_ones_and_no_others(database, dialect):
    migrate.run(database)
    with database.reading() as connection:
        found = {re.split(r"\W+", line.strip("('"))[0] for line in catalogue.triggers(connection)}
    assert found == set(triggers.declared(dialect))


def test_the_newest_migration_is_the_one_that_the_code_needs():
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION


def test_downgrading_leaves_nothing(alembic_runner, database):
    alembic_runner.migrate_up_to("head")
    alembic_runner.migrate_down_to("base")
    with database.reading() as connection:
        assert catalogue.tables(connection) == []
        assert catalogue.triggers(connection) == []
        if not database.is_sqlite:
            functions = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'weightpatch%'"
            assert connection.scalar(text(functions)) == 0


def test_a_registry_with_a_history_is_not_downgraded(alembic_runner, url, tmp_path):
    Registry.create(url, home=tmp_path, actor="ada").close()
    with pytest.raises(RuntimeError, match="history would be lost"):
        alembic_runner.migrate_down_to("base")
    Registry.upgrade(url, home=tmp_path, actor="ada")
    with Registry.open(url, home=tmp_path, actor="ada") as registry:
        actions = [entry.action for entry in registry.log()]
        assert actions == ["registry.upgrade", "registry.create"]
        assert registry.verify_ledger().ok


def test_what_became_of_versions_is_not_downgraded(alembic_runner, database):
    alembic_runner.migrate_up_to("0002")
    with database.writing() as connection:
        connection.execute(text("INSERT INTO remote (id, location) VALUES (1, '/drive')"))
        guarded = catalogue.triggers(connection)
    with pytest.raises(RuntimeError, match="rows of remote would be lost, and they are history"):
        alembic_runner.migrate_down_to("0001")
    with database.reading() as connection:
        assert migrate.current(connection) == "0002"
        assert catalogue.triggers(connection) == guarded
        assert connection.scalar(text("SELECT count(*) FROM remote")) == 1


def test_what_the_names_of_remotes_meant_is_not_downgraded(alembic_runner, url, tmp_path):
    with Registry.create(url, home=tmp_path, actor="ada") as registry:
        registry.add_remote("team", "/drive")
        registry.remove_remote("team")
    with pytest.raises(RuntimeError, match="rows of remote_name would be lost"):
        alembic_runner.migrate_down_to("0002")
    assert migrate.state(url, home=tmp_path) == (schema.REVISION, schema.REVISION)


def test_a_registry_is_downgraded_by_one_where_no_remote_was_ever_named(
    alembic_runner, database, url, tmp_path
):
    Registry.create(url, home=tmp_path, actor="ada").close()
    alembic_runner.migrate_down_to("0002")
    with database.reading() as connection:
        assert migrate.current(connection) == "0002"
        assert connection.scalar(text("SELECT count(*) FROM ledger")) == 1
    Registry.upgrade(url, home=tmp_path, actor="ada")
    with Registry.open(url, home=tmp_path, actor="ada") as registry:
        assert registry.add_remote("team", "/drive").seq == 3
        assert registry.verify_ledger().ok


def test_state_and_upgrade_of_a_registry(url, tmp_path):
    home = tmp_path / "home"
    assert migrate.state(url, home=home) == (None, schema.REVISION)
    with pytest.raises(RegistryMissing):
        Registry.upgrade(url, home=home, actor="ada")
    assert not home.exists()

    Registry.create(url, home=home, actor="ada").close()
    assert migrate.state(url, home=home) == (schema.REVISION, schema.REVISION)
    done = Registry.upgrade(url, home=home, actor="ada")
    assert done == Upgrade(schema.REVISION, schema.REVISION, copy=None)


@pytest.mark.parametrize(("revision", "error"), [("0000", SchemaTooOld), ("9999", SchemaTooNew)])
def test_another_schema_is_not_opened(database, url, tmp_path, revision, error):
    Registry.create(url, home=tmp_path, actor="ada").close()
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    with pytest.raises(error, match=revision):
        Registry.open(url, home=tmp_path, actor="ada")
    assert migrate.state(url, home=tmp_path) == (revision, schema.REVISION)


@pytest.mark.parametrize("door", [Registry.upgrade, Registry.create])
def test_a_newer_schema_is_not_touched(database, url, tmp_path, door):
    Registry.create(url, home=tmp_path, actor="ada").close()
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew):
        door(url, home=tmp_path, actor="ada")


@pytest.mark.parametrize("door", [Registry.upgrade, Registry.create, Registry.open])
def test_the_database_of_another_program_is_not_touched(database, url, tmp_path, door):
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('ae1027a6acf')"))
    with pytest.raises(DatabaseFailed, match="another program"):
        door(url, home=tmp_path, actor="ada")


def test_a_migration_that_breaks_references_changes_nothing(database):
    migrate.run(database)

    def orphan() -> None:
        with database.migrating() as connection:
            connection.execute(
                text("INSERT INTO base_location VALUES (1, 9, '/x', '2026-03-03T12:00:00Z')")
            )

    with pytest.raises(DatabaseFailed, match=r"refer to nothing|foreign key"):
        orphan()
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM base_location")) == 0
        if database.is_sqlite:
            assert connection.scalar(text("PRAGMA foreign_keys")) == 1


def test_by_hand_a_database_must_be_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    with pytest.raises(CommandError, match="say which database"):
        command.upgrade(config, "head")
    assert list(tmp_path.iterdir()) == []
    config.cmd_opts = Namespace(x=[f"url=sqlite:///{tmp_path / 'made.db'}"])
    command.upgrade(config, "head")
    assert migrate.state(f"sqlite:///{tmp_path / 'made.db'}", home=tmp_path)[0] == schema.REVISION


def test_an_installed_copy_without_alembic_ini_upgrades_itself(tmp_path):
    site = tmp_path / "100% site"
    for folder in ("patches", "registry", "migrations"):
        shutil.copytree(
            ROOT / folder,
            site / "weightpatch" / folder,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(ROOT / "__init__.py", site / "weightpatch")
    code = (
        "import sys, pathlib, weightpatch\n"
        "assert weightpatch.__file__.startswith(sys.argv[1]), weightpatch.__file__\n"
        "from weightpatch.registry.registry import Registry\n"
        "with Registry.create(home=pathlib.Path(sys.argv[2]), actor='ada') as registry:\n"
        "    assert registry.verify_ledger().sound == 1\n"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(site), str(tmp_path / "home")],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
