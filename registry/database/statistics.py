"""What SQLite's planner knows of the tables: counted for all at once, and again as they grow.

Without any counts SQLite takes tables to be large and uses the indexes, which is right for a large
registry and does no harm in a small one. Counts of the day when a table had one row would be worse
than none. PRAGMA optimize makes such, and renews those only of tables that the writer looked into.
"""

import sqlite3

FEWEST = 1_000
"""Ledger entries below which nothing is counted."""

GROWTH = 4
"""How many times as many entries there must be for a new count."""

_LIMIT = 400
"""Rows of each index that are looked at."""


def refresh(connection: sqlite3.Connection) -> bool:
    """Count if it is time to; whoever is writing goes first. Raises sqlite3.Error."""
    (newest,) = connection.execute("SELECT coalesce(max(seq), 0) FROM ledger").fetchone()
    if newest < max(FEWEST, GROWTH * _counted(connection)):
        return False
    connection.execute("PRAGMA busy_timeout=0")
    connection.execute(f"PRAGMA analysis_limit={_LIMIT}")
    connection.execute("ANALYZE")
    return True


def _counted(connection: sqlite3.Connection) -> int:
    """Entries of the ledger when they were last counted."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone():
        return 0
    query = "SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = 'ledger'"
    return int(connection.execute(query).fetchone()[0] or 0)
