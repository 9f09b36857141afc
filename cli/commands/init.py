"""init: make a registry."""

from ..app import App, now
from ..options import declare
from .db import bring_up


@declare("init", examples="weightpatch init\nWEIGHTPATCH_HOME=./registry weightpatch init")
def command(app: App) -> None:
    """Make a registry where WEIGHTPATCH_HOME says, or in your data folder.

    Doing it again changes nothing, but that an older one is upgraded, a copy of it kept aside.
    """
    from ...registry.database import migrate
    from ...registry.registry import Registry

    found, needed = migrate.state(app.config.database, home=app.config.home)
    if found is not None and found < needed:
        bring_up(app)
    with Registry.create(
        app.config.database, home=app.config.home, actor=app.config.actor, now=now
    ):
        elsewhere = _shown(app.config.database)
        app.output.data("init", {"home": str(app.config.home), "database": elsewhere})
        at = f", its database at {elsewhere}" if elsewhere else ""
        app.output.line(f"registry ready in {app.config.home}{at}")


def _shown(url: str | None) -> str | None:
    """The database's URL without its password and options."""
    from sqlalchemy import make_url

    return url and make_url(url).set(query={}).render_as_string(hide_password=True)
