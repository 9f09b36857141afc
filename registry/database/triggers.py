"""Rules that the database keeps: the ledger only grows, versions stay, counters never go back.

They hold against any client, also one that knows nothing of this package. Each migration ends with
`install`, since rebuilding a table on SQLite loses its triggers without a word.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, inspect

_SQLITE: Mapping[tuple[str, str], str] = {
    ("ledger", "ledger_refuse_update"): """
        BEFORE UPDATE ON ledger BEGIN
            SELECT RAISE(ABORT, 'the ledger only grows');
        END""",
    ("ledger", "ledger_refuse_delete"): """
        BEFORE DELETE ON ledger BEGIN
            SELECT RAISE(ABORT, 'the ledger only grows');
        END""",
    # INSERT OR REPLACE deletes without asking the trigger above unless recursive_triggers is on.
    ("ledger", "ledger_extend"): """
        BEFORE INSERT ON ledger
        WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM ledger)
            OR NEW.prev_hash IS NOT coalesce(
                (SELECT entry_hash FROM ledger ORDER BY seq DESC LIMIT 1), zeroblob(32))
        BEGIN
            SELECT RAISE(ABORT, 'a ledger entry must follow the last one');
        END""",
    ("version", "version_refuse_update"): """
        BEFORE UPDATE ON version BEGIN
            SELECT RAISE(ABORT, 'a version never changes');
        END""",
    ("version", "version_refuse_delete"): """
        BEFORE DELETE ON version BEGIN
            SELECT RAISE(ABORT, 'a version never goes away');
        END""",
    ("patch", "patch_counter"): """
        BEFORE UPDATE ON patch WHEN NEW.next_version < OLD.next_version BEGIN
            SELECT RAISE(ABORT, 'a version number is never used again');
        END""",
}

_FUNCTIONS: Mapping[str, str] = {
    "weightpatch_refuse": """
        BEGIN
            RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME;
        END""",
    "weightpatch_ledger_extend": """
        BEGIN
            IF NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), 0) + 1 FROM ledger)
                OR NEW.prev_hash IS DISTINCT FROM coalesce(
                    (SELECT entry_hash FROM ledger ORDER BY seq DESC LIMIT 1),
                    decode(repeat('00', 32), 'hex'))
            THEN
                RAISE EXCEPTION 'a ledger entry must follow the last one';
            END IF;
            RETURN NEW;
        END""",
    "weightpatch_patch_counter": """
        BEGIN
            IF NEW.next_version < OLD.next_version THEN
                RAISE EXCEPTION 'a version number is never used again';
            END IF;
            RETURN NEW;
        END""",
}

_POSTGRESQL: Mapping[tuple[str, str], str] = {
    ("ledger", "ledger_refuse"): """
        BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
        FOR EACH STATEMENT EXECUTE FUNCTION weightpatch_refuse()""",
    ("ledger", "ledger_extend"): """
        BEFORE INSERT ON ledger
        FOR EACH ROW EXECUTE FUNCTION weightpatch_ledger_extend()""",
    ("version", "version_refuse"): """
        BEFORE UPDATE OR DELETE OR TRUNCATE ON version
        FOR EACH STATEMENT EXECUTE FUNCTION weightpatch_refuse()""",
    ("patch", "patch_counter"): """
        BEFORE UPDATE ON patch
        FOR EACH ROW EXECUTE FUNCTION weightpatch_patch_counter()""",
}


def declared(dialect: str) -> set[str]:
    """Names of the triggers that a database at the newest schema must have."""
    return {name for _, name in _declared(dialect)}


def missing(connection: Connection) -> list[str]:
    """Names of the declared triggers that are not there, are off, or say something else; sorted."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        there = {name: rule.split() for name, rule in connection.exec_driver_sql(query)}
        meant = {
            name: f"CREATE TRIGGER {name} {rule}".split() for (_, name), rule in _SQLITE.items()
        }
        return sorted(name for name, rule in meant.items() if there.get(name) != rule)
    query = (
        "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
        "WHERE tgenabled <> 'D' AND pg_table_is_visible(pg_class.oid)"
    )
    return sorted(
        declared(connection.dialect.name) - {row[0] for row in connection.exec_driver_sql(query)}
    )


def install(connection: Connection) -> None:
    """Make every declared trigger whose table is there, anew."""
    present = set(inspect(connection).get_table_names())
    on_sqlite = connection.dialect.name == "sqlite"
    if not on_sqlite:
        for name, body in _FUNCTIONS.items():
            connection.exec_driver_sql(
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
                f"AS $body${body};$body$".replace("%", "%%")
            )
    for (table, name), rule in _declared(connection.dialect.name).items():
        if table not in present:
            continue
        place = "" if on_sqlite else f" ON {table}"
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{place}")
        connection.exec_driver_sql(f"CREATE TRIGGER {name} {rule}")


def remove(connection: Connection) -> None:
    """Take away what `install` made."""
    on_sqlite = connection.dialect.name == "sqlite"
    present = set(inspect(connection).get_table_names())
    for table, name in _declared(connection.dialect.name):
        if table in present:
            place = "" if on_sqlite else f" ON {table}"
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{place}")
    if not on_sqlite:
        for name in _FUNCTIONS:
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")


def _declared(dialect: str) -> Mapping[tuple[str, str], str]:
    return _SQLITE if dialect == "sqlite" else _POSTGRESQL
