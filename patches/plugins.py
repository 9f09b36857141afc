"""Load one operation, method, suite or remote by name, and only that one."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .errors import PluginMissing


def names(kind: str) -> list[str]:
    """Names installed for a kind of plugin, sorted; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group=f"weightpatch.{kind}")})


@cache
def load(kind: str, name: str) -> Any:  # noqa: ANN401 - each kind has its own Protocol
    """Import the plugin `name` of `kind`; looked up once.

    Raises PluginMissing if nothing of that name is installed.
    """
    found: list[EntryPoint] = list(entry_points(group=f"weightpatch.{kind}", name=name))
    if not found:
        known = ", ".join(names(kind)) or "none"
        raise PluginMissing(
            f"no {kind.rstrip('s')} named {name!r} is installed",
            why=f"installed: {known}",
            hint="check the spelling, or install the package that provides it",
        )
    return found[0].load()
