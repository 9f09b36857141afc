"""Rules that the database keeps: the ledger only grows, versions stay, counters never go back.

They hold against any client, also one that knows nothing of this package. Migrations end with
`install`, since rebuilding a table on SQLite loses its triggers without a word.
"""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, PrimaryKeyConstraint, UniqueConstraint, inspect

from . import schema

FROZEN = (
    "base",
    "base_tensor",
    "version",
    "version_parent",
    "version_base",
    "version_tensor",
    "operation",
    "request",
    "blob",
    "version_file",
    "score",
    "mean",
    "provenance",
    "ledger",
    "standing",
    "alias_move",
    "build",
    "build_version",
    "remote",
    "remote_name",
    "transfer",
)
"""Tables whose rows stay as they were written."""

PARTLY_FROZEN: Mapping[str, Sequence[str]] = {
    "patch": ("id", "namespace", "name", "folded"),
    "evaluation": tuple(name for name in schema.evaluation.c.keys() if name != "origin"),  # noqa: SIM118 - columns, not names
}
"""Tables whose rows stay, with the columns of them that never change."""

_STAYS = "rows of {} are never changed or taken away"

_SQLITE: Mapping[tuple[str, str], str] = {
    ("ledger", "ledger_extend"): """
        BEFORE INSERT ON ledger
        WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM ledger)
            OR NEW.prev_hash IS NOT coalesce(
                (SELECT entry_hash FROM ledger ORDER BY seq DESC LIMIT 1), zeroblob(32))
        BEGIN
            SELECT RAISE(ABORT, 'a ledger entry must follow the last one');
        END""",
    ("patch", "patch_counter"): """
        BEFORE UPDATE ON patch WHEN NEW.next_version < OLD.next_version BEGIN
            SELECT RAISE(ABORT, 'a version number is never used again');
        END""",
    ("alias_move", "alias_move_follow"): """
        BEFORE INSERT ON alias_move
        WHEN NEW.from_id IS NOT (
            SELECT to_id FROM alias_move WHERE patch_id = NEW.patch_id AND name = NEW.name
            ORDER BY seq DESC LIMIT 1)
        BEGIN
            SELECT RAISE(ABORT, 'an alias moves from where it is');
        END""",
}

_FUNCTIONS: Mapping[str, str] = {
    "weightpatch_refuse": f"""
        BEGIN
            RAISE EXCEPTION '{_STAYS.format("%")}', TG_TABLE_NAME;
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
    "weightpatch_alias_follow": """
        BEGIN
            IF NEW.from_id IS DISTINCT FROM (
                SELECT to_id FROM alias_move WHERE patch_id = NEW.patch_id AND name = NEW.name
                ORDER BY seq DESC LIMIT 1)
            THEN
                RAISE EXCEPTION 'an alias moves from where it is';
            END IF;
            RETURN NEW;
        END""",
}

# Spelled as PostgreSQL itself spells them when it is asked.
_POSTGRESQL: Mapping[tuple[str, str], str] = {
    ("ledger", "ledger_extend"): (
        "BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION weightpatch_ledger_extend()"
    ),
    ("patch", "patch_counter"): (
        "BEFORE UPDATE ON patch FOR EACH ROW EXECUTE FUNCTION weightpatch_patch_counter()"
    ),
    ("alias_move", "alias_move_follow"): (
        "BEFORE INSERT ON alias_move FOR EACH ROW EXECUTE FUNCTION weightpatch_alias_follow()"
    ),
}


def declared(dialect: str) -> dict[str, str]:
    """The triggers that a database at the newest schema must have, each with its rule."""
    return {name: rule for (_, name), rule in _declared(dialect)}


def missing(connection: Connection) -> list[str]:
    """Names of the declared triggers that are not there, are off, or say something else; sorted."""
    dialect = connection.dialect.name
    there = _on_sqlite(connection) if dialect == "sqlite" else _on_postgresql(connection)
    meant = {name: f"CREATE TRIGGER {name} {rule}" for name, rule in declared(dialect).items()}
    return sorted(name for name, rule in meant.items() if there.get(name) != rule.split())


def install(connection: Connection) -> None:
    """Make every declared trigger whose table is there, anew."""
    present = list(_present(connection))
    if present and connection.dialect.name != "sqlite":
        for name, body in _FUNCTIONS.items():
            connection.exec_driver_sql(
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
                f"AS $body${body};$body$".replace("%", "%%")
            )
    for name, place, rule in present:
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{place}")
        connection.exec_driver_sql(f"CREATE TRIGGER {name} {rule}")


def remove(connection: Connection) -> None:
    """Take away what `install` made."""
    for name, place, _ in _present(connection):
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{place}")
    if connection.dialect.name != "sqlite":
        for name in _FUNCTIONS:
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}()")


def _present(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Name, place and rule of each declared trigger whose table is there."""
    tables = set(inspect(connection).get_table_names())
    dialect = connection.dialect.name
    for (table, name), rule in _declared(dialect):
        if table in tables:
            yield name, "" if dialect == "sqlite" else f" ON {table}", rule


def _declared(dialect: str) -> Iterator[tuple[tuple[str, str], str]]:
    if dialect == "sqlite":
        yield from _SQLITE.items()
        for table in (*FROZEN, *PARTLY_FROZEN):
            yield from _stays_on_sqlite(table)
    else:
        yield from _POSTGRESQL.items()
        for table in (*FROZEN, *PARTLY_FROZEN):
            yield from _stays_on_postgresql(table)


def _stays_on_sqlite(table: str) -> Iterator[tuple[tuple[str, str], str]]:
    refuse = f"ON {table} BEGIN SELECT RAISE(ABORT, '{_STAYS.format(table)}'); END"
    yield (table, f"{table}_refuse_update"), f"BEFORE UPDATE{_of(table)} {refuse}"
    yield (table, f"{table}_refuse_delete"), f"BEFORE DELETE {refuse}"
    # INSERT OR REPLACE deletes without asking the trigger above unless recursive_triggers is on.
    there = f"EXISTS (SELECT 1 FROM {table} WHERE {_same_key(table)})"  # noqa: S608 - our own names
    insert = refuse.replace(f"ON {table} ", f"ON {table} WHEN {there} ", 1)
    yield (table, f"{table}_refuse_replace"), f"BEFORE INSERT {insert}"


def _same_key(table: str) -> str:
    """Whether a row has a key of the new row: its number, or what else only one row may have."""
    keys = (
        constraint.columns.keys()
        for constraint in schema.metadata.tables[table].constraints
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint)
    )
    same = [" AND ".join(f"{column} = NEW.{column}" for column in key) for key in sorted(keys)]
    return " OR ".join(same)


def _stays_on_postgresql(table: str) -> Iterator[tuple[tuple[str, str], str]]:
    yield (
        (table, f"{table}_refuse"),
        (
            f"BEFORE DELETE OR UPDATE{_of(table)} OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION weightpatch_refuse()"
        ),
    )


def _of(table: str) -> str:
    columns = PARTLY_FROZEN.get(table)
    return f" OF {', '.join(columns)}" if columns else ""


def _on_sqlite(connection: Connection) -> Mapping[str, list[str]]:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    return {name: rule.split() for name, rule in connection.exec_driver_sql(query)}


def _on_postgresql(connection: Connection) -> Mapping[str, list[str]]:
    """The triggers that are on and whose function is the declared one."""
    query = (
        "SELECT tgname, pg_get_triggerdef(pg_trigger.oid, true), proname, prosrc "
        "FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
        "JOIN pg_proc ON pg_proc.oid = tgfoid "
        "WHERE tgenabled IN ('O', 'A') AND NOT tgisinternal AND pg_table_is_visible(pg_class.oid)"
    )
    return {
        name: rule.split()
        for name, rule, function, body in connection.exec_driver_sql(query)
        if body == f"{_FUNCTIONS.get(function)};"
    }
