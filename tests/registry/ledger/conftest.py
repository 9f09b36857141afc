"""A ledger with a few entries, and what somebody needs who wants to change its past."""

from collections.abc import Callable, Iterable

import pytest
from weightpatch.registry.database import triggers
from weightpatch.registry.registry import Registry


@pytest.fixture
def history(registry, make_draft, enter) -> Registry:
    """A registry with a ledger of five entries; the last three are of versions."""
    enter(registry, "version.push", "somewhere")
    for seed in range(3):
        registry.publish(make_draft(seed=seed))
    return registry


@pytest.fixture
def disarmed(history, sql, dialect) -> Registry:
    """The same after somebody took away all that protects the ledger; `place` finds its rows."""
    sql("CREATE TABLE copy AS SELECT *, seq AS place FROM ledger")
    sql("DROP TABLE ledger" + ("" if dialect == "sqlite" else " CASCADE"))
    sql("ALTER TABLE copy RENAME TO ledger")
    return history


@pytest.fixture
def drop_triggers(sql, script, dialect) -> Callable[[Iterable[str]], None]:
    """Take triggers away, whatever tables they are on."""

    def drop(names: Iterable[str]) -> None:
        if dialect == "sqlite":
            script(f"DROP TRIGGER {name}" for name in names)
            return
        query = (
            "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal"
        )
        tables = dict(sql(query))
        script(f"DROP TRIGGER {name} ON {tables[name]}" for name in names)

    return drop


@pytest.fixture
def unguarded(history, drop_triggers, dialect) -> Registry:
    """The registry after somebody dropped all triggers, and nothing else."""
    drop_triggers(triggers.declared(dialect))
    return history
