"""A registry on SQLite with as many versions as asked for; kept for the next time."""

import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from weightpatch.patches.digests import sha256
from weightpatch.registry import FILE
from weightpatch.registry.database import schema, triggers
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.registry import Registry

from . import bases, versions
from .history import Chronicle
from .population import Population, draw

FORM = 2
"""Goes up when other rows are made, so that no old registry is taken for a new one."""

CHUNK = 10_000
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=30)

_FAST = (
    "journal_mode=OFF",
    "synchronous=OFF",
    "foreign_keys=OFF",
    "cache_size=-2000000",
    "threads=2",
)
_CHECKED = 100_000
"""Up to this size the database checks each row; larger registries are made by the same code."""


@dataclass(frozen=True)
class Synthetic:
    """A registry in `home`; seconds that it took to make it, 0 if it was there."""

    home: Path
    population: Population
    seconds: float = 0.0

    @property
    def bytes(self) -> int:
        """Size of its database."""
        return (self.home / FILE).stat().st_size


def prepare(size: int, work: Path) -> Synthetic:
    """Make the registry with so many versions, unless it is there from another time."""
    home, population, form = work / f"synthetic-{size}", draw(size), _form()
    ready = home / "ready"
    if ready.exists() and ready.read_text() == form:
        return Synthetic(home, population)
    shutil.rmtree(home, ignore_errors=True)
    start = time.perf_counter()
    with Registry.create(home=home, actor="bench", now=lambda: BEGIN):
        pass
    database = Database(locate(None, home))
    with database.writing() as connection:
        triggers.remove(connection)
    database.close()
    with closing(sqlite3.connect(home / FILE, isolation_level=None)) as connection:
        _fill(connection, population)
    with database.writing() as connection:
        triggers.install(connection)
    database.close()
    ready.write_text(form)
    return Synthetic(home, population, time.perf_counter() - start)


def _form() -> str:
    """What a kept registry must agree with: its rows, tables, indexes and triggers."""
    tables = {
        name: [
            *map(repr, table.columns),
            *sorted(repr(index.columns.keys()) for index in table.indexes),
        ]
        for name, table in schema.metadata.tables.items()
    }
    return sha256(repr((FORM, tables, triggers.declared("sqlite"))).encode())


def _fill(connection: sqlite3.Connection, population: Population) -> None:
    """All rows in one transaction; the indexes are made at its end."""
    for pragma in _FAST:
        connection.execute(f"PRAGMA {pragma}")
    if population.size > _CHECKED:
        connection.execute("PRAGMA ignore_check_constraints=ON")
    connection.execute("BEGIN")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    _insert_all(connection, population)
    for _, statement in indexes:
        connection.execute(statement)
    if population.size <= _CHECKED and connection.execute("PRAGMA foreign_key_check").fetchone():
        raise ValueError("a synthetic row refers to nothing")
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")


def _insert_all(connection: sqlite3.Connection, population: Population) -> None:
    times = _times(population.size)
    for table, rows in (*bases.rows(times[0]), ("patch", versions.patches(population))):
        connection.executemany(versions.insert(table), rows)
    last = "SELECT seq, entry_hash FROM ledger ORDER BY seq DESC LIMIT 1"
    chronicle = Chronicle(population, *connection.execute(last).fetchone())
    writer = versions.Writer(population, times)
    for start in range(0, population.size, CHUNK):
        end = min(start + CHUNK, population.size)
        for part in (writer.rows(start, end), chronicle.rows(start, times[start:end])):
            for table, rows in part.items():
                connection.executemany(versions.insert(table), rows)


def time_of(place: int) -> datetime:
    """When the version at this place came in."""
    return BEGIN + place * STEP


def _times(size: int) -> Sequence[str]:
    return [time_of(place).strftime("%Y-%m-%dT%H:%M:%SZ") for place in range(size)]
