"""The registry of somebody who never had one, made by the first pull that can be made."""

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..registry.errors import RegistryMissing
from .app import App, now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..registry.registry import Registry


@contextmanager
def own_or_trial(app: App) -> "Iterator[tuple[Registry, bool]]":
    """The registry, and that it is one to keep; where there is none, one that is thrown away.

    So what cannot be fetched makes no registry. One that was not made to its end counts as none. A
    database that is named has to be there: raises RegistryMissing as `App.registry`.
    """
    try:
        own = app.registry()
    except RegistryMissing:
        if app.config.database is not None:
            raise
    else:
        with own:
            yield own, True
        return
    with tempfile.TemporaryDirectory() as folder, _created(app, Path(folder)) as trial:
        yield trial, False


def made(app: App) -> "Registry":
    """Make the registry in its folder, or finish it, and say so; use it in a `with` block."""
    registry = _created(app, app.config.home)
    app.output.note(f"made a registry in {app.config.home}, as there was none")
    return registry


def _created(app: App, home: Path) -> "Registry":
    from ..registry.registry import Registry

    return Registry.create(None, home=home, actor=app.config.actor, now=now)
