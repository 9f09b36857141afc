"""What a database really has: tables with every check, indexes, triggers; asked of itself."""

import re

from sqlalchemy import Connection

COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = current_schema()"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = current_schema()::regnamespace"""
INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
TRIGGERS = """
    SELECT tgname, pg_get_triggerdef(pg_trigger.oid), prosrc FROM pg_trigger
    JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal"""
ALEMBIC = "alembic_version"
SEPARATOR = re.compile(r",\s*\n|\n")


def tables(connection: Connection) -> list[str]:
    """Tables with their columns and constraints, and indexes; Alembic's own left out."""
    if connection.dialect.name == "sqlite":
        return sorted([*_on_sqlite(connection, "table"), *_on_sqlite(connection, "index")])
    found = [row for query in (COLUMNS, CONSTRAINTS, INDEXES) for row in _rows(connection, query)]
    return sorted(str(row) for row in found if row[0] != ALEMBIC)


def triggers(connection: Connection) -> list[str]:
    """Triggers with what they do."""
    if connection.dialect.name == "sqlite":
        return sorted(_on_sqlite(connection, "trigger"))
    return sorted(str(row) for row in _rows(connection, TRIGGERS))


def _on_sqlite(connection: Connection, kind: str) -> list[str]:
    """Definitions of a kind, each as its sorted parts."""
    query = f"SELECT name, sql FROM sqlite_master WHERE type = '{kind}' AND sql IS NOT NULL"
    return [
        f"{name}: {sorted(SEPARATOR.split(sql))}"
        for name, sql in _rows(connection, query)
        if name != ALEMBIC and not name.startswith("sqlite_")
    ]


def _rows(connection: Connection, query: str) -> list[tuple]:
    return [tuple(row) for row in connection.exec_driver_sql(query)]
