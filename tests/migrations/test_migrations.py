"""The migrations: those that pytest-alembic asks about, and what it cannot see."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from pytest_alembic.tests import (  # noqa: F401 - collected by being here
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import Connection, text
from weightpatch.registry.database import migrate, schema, triggers
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.errors import DatabaseFailed, RegistryMissing, SchemaTooNew, SchemaTooOld
from weightpatch.registry.registry import Registry

ROOT = Path(__file__).parents[2]


def declared(connection: Connection, kind: str) -> dict[str, str]:
    """What SQLite has of a kind, each definition as its sorted parts."""
    found = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type = :kind AND sql IS NOT NULL"),
        {"kind": kind},
    )
    return {name: sorted(re.split(r",\s*\n|\n", sql)) for name, sql in found}


def test_migrated_tables_are_the_declared_ones_with_every_check(database, tmp_path):
    migrate.run(database)
    fresh = Database(locate(f"sqlite:///{tmp_path / 'fresh.db'}", tmp_path))
    with fresh.writing() as connection:
        schema.metadata.create_all(connection)
        made = {kind: declared(connection, kind) for kind in ("table", "index")}
    fresh.close()
    with database.reading() as connection:
        migrated = {kind: declared(connection, kind) for kind in ("table", "index")}
    migrated["table"].pop("alembic_version")
    assert migrated == made
    assert any("CHECK" in line for line in made["table"]["version"])


def test_every_constraint_has_a_name():
    unnamed = [
        (table.name, constraint)
        for table in schema.metadata.tables.values()
        for constraint in table.constraints
        if constraint.name is None
    ]
    assert unnamed == []


def test_triggers_are_the_declared_ones(database):
    migrate.run(database)
    with database.reading() as connection:
        assert set(declared(connection, "trigger")) == triggers.declared("sqlite")


def test_the_newest_migration_is_the_one_that_the_code_needs():
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION


def test_downgrading_leaves_nothing(alembic_runner, database):
    alembic_runner.migrate_up_to("head")
    alembic_runner.migrate_down_to("base")
    with database.reading() as connection:
        assert set(declared(connection, "table")) == {"alembic_version"}
        assert declared(connection, "trigger") == {}


def test_a_registry_with_a_history_is_not_downgraded(alembic_runner, tmp_path):
    with Registry.create(home=tmp_path, actor="ada") as registry:
        with pytest.raises(RuntimeError, match="history would be lost"):
            alembic_runner.migrate_down_to("base")
        assert registry.verify_ledger().ok


def test_state_and_upgrade_of_a_registry(tmp_path):
    assert migrate.state(home=tmp_path) == (None, schema.REVISION)
    with pytest.raises(RegistryMissing):
        migrate.upgrade(home=tmp_path)
    assert list(tmp_path.iterdir()) == []

    Registry.create(home=tmp_path, actor="ada").close()
    assert migrate.state(home=tmp_path) == (schema.REVISION, schema.REVISION)
    assert migrate.upgrade(home=tmp_path) == schema.REVISION


@pytest.mark.parametrize(("revision", "error"), [("0000", SchemaTooOld), ("9999", SchemaTooNew)])
def test_another_schema_is_not_opened(database, tmp_path, revision, error):
    Registry.create(home=tmp_path, actor="ada").close()
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    with pytest.raises(error, match=revision):
        Registry.open(home=tmp_path, actor="ada")
    assert migrate.state(home=tmp_path) == (revision, schema.REVISION)


def test_a_newer_schema_is_not_touched(database, tmp_path):
    Registry.create(home=tmp_path, actor="ada").close()
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew):
        migrate.upgrade(home=tmp_path)


def test_a_migration_that_breaks_references_changes_nothing(database):
    migrate.run(database)

    def orphan() -> None:
        with database.migrating() as connection:
            connection.execute(
                text("INSERT INTO base_location VALUES (1, 9, '/x', '2026-03-03T12:00:00Z')")
            )

    with pytest.raises(DatabaseFailed, match="refer to nothing"):
        orphan()
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM base_location")) == 0
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1


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
