"""What this registry has seen at remotes: where a patch was last, and how far it was there."""

from dataclasses import dataclass

from ..patches.format.patch import Patch
from .named_remotes import DEFAULT
from .registry import Registry
from .remotes.errors import RemoteRefused
from .remotes.location import anywhere, site


@dataclass(frozen=True)
class Usual:
    """A remote that is meant where none is named, and why it is this one."""

    location: str
    why: str


def usual_remote(registry: Registry, name: str) -> Usual | None:
    """Where a patch was last pushed to or pulled from, else the remote called `default`."""
    last = last_remote(registry, name)
    if last is not None:
        return Usual(last, "as last time")
    default = default_remote(registry)
    return Usual(default, f"the remote called {DEFAULT}") if default else None


def default_remote(registry: Registry) -> str | None:
    """The location of the remote called `default`, if there is one."""
    named = (one.location for one in registry.remotes() if one.name == DEFAULT)
    return next(named, None)


def last_remote(registry: Registry, name: str) -> str | None:
    """The remote that any version of a patch was last pushed to or pulled from, if there is one."""
    used = registry.exchanges(name)
    return anywhere(used[0].remote) if used else None


def refuse_older(registry: Registry, patch: Patch, remote: str) -> None:
    """Raise RemoteRefused if a higher version of the patch went to or came from this place."""
    name, place = patch.manifest.name, site(remote)
    seen = [one.highest for one in registry.exchanges(name) if site(one.remote) == place]
    highest = max(seen, default=0)
    if patch.manifest.version < highest:
        raise RemoteRefused(
            f"the newest at {remote} is {patch.label}, and {name}@{highest} was there before",
            why="versions were taken away there, or somebody shows you an old state of it",
            hint=f"if you want it, ask for {patch.label} by its number, or add --older",
        )
