"""db: the database's schema."""

from typing import TYPE_CHECKING

import click

from ..app import App, now
from ..options import declare

if TYPE_CHECKING:
    from ...registry.registry import Upgrade


@click.group("db")
def command() -> None:
    """Show or upgrade the database's schema."""


@declare("current", examples="weightpatch db current")
def current(app: App) -> None:
    """Show which schema the database has, and which one this weightpatch needs."""
    from ...registry.database import migrate

    found, needed = migrate.state(app.config.database, home=app.config.home)
    state = _state(found, needed)
    app.output.data("db", {"current": found, "needed": needed, "state": state})
    app.output.line(f"current {found or 'none'}, needed {needed}: {_MEANINGS[state]}")


@declare("upgrade", examples="weightpatch db upgrade")
def upgrade(app: App) -> None:
    """Bring the database to the schema that this weightpatch needs.

    An SQLite database is copied aside first. Of one on PostgreSQL keep a copy made by pg_dump.
    """
    done = bring_up(app)
    copy = str(done.copy) if done.copy else None
    app.output.data("db", {"current": done.revision, "found": done.found, "copy": copy})
    if done.found == done.revision:
        app.output.line(f"the database has schema {done.revision}, there is nothing to do")


def bring_up(app: App) -> "Upgrade":
    """Upgrade the registry, and say so if there was something to do."""
    from ...registry.registry import Registry

    done = Registry.upgrade(
        app.config.database, home=app.config.home, actor=app.config.actor, now=now
    )
    if done.found != done.revision:
        app.output.line(f"upgraded the database from schema {done.found} to {done.revision}")
        if done.copy:
            app.output.line(f"what it was before is in {done.copy}")
        else:
            app.output.note("note: no copy was made of it; keep one of your own with pg_dump")
    return done


_MEANINGS = {
    "none": "there is no registry; make one with: weightpatch init",
    "current": "nothing to do",
    "old": "upgrade it with: weightpatch db upgrade",
    "new": "made by a newer weightpatch; upgrade that with: pip install --upgrade weightpatch",
}


def _state(found: str | None, needed: str) -> str:
    if found is None:
        return "none"
    if found == needed:
        return "current"
    return "old" if found < needed else "new"


command.add_command(current)
command.add_command(upgrade)
