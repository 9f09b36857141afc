"""The registry of somebody who never had one, made by the first pull."""

from typing import TYPE_CHECKING

from .app import App, now

if TYPE_CHECKING:
    from ..registry.registry import Registry


def opened_or_made(app: App) -> "Registry":
    """The registry, made in its folder if there is none, which is told; use it in a `with` block.

    A database that is named has to be there: raises RegistryMissing as `App.registry`.
    """
    if app.has_registry():
        return app.registry()
    from ..registry.registry import Registry

    made = Registry.create(None, home=app.config.home, actor=app.config.actor, now=now)
    app.output.note(f"made a registry in {app.config.home}, as there was none")
    return made
