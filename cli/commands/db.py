"""db: the database's schema."""

import click

from ..app import App
from ..options import declare


@click.group("db")
def command() -> None:
    """Show or upgrade the database's schema."""


@declare("current", examples="weightpatch db current")
def current(app: App) -> None:
    """Show which schema the database has, and which one this weightpatch needs."""
    from ...registry.database import migrate

    found, needed = migrate.state(app.config.database, home=app.config.home)
    app.output.data("db", {"current": found, "needed": needed})
    app.output.line(f"current {found or 'none'}, needed {needed}")


@declare("upgrade", examples="weightpatch db upgrade")
def upgrade(app: App) -> None:
    """Bring the database to the schema that this weightpatch needs."""
    from ...registry.database import migrate

    found = migrate.upgrade(app.config.database, home=app.config.home)
    app.output.data("db", {"current": found})
    app.output.line(f"the database has schema {found}")


command.add_command(current)
command.add_command(upgrade)
