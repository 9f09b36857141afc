"""What this registry has seen at remotes: where a patch was last, and how far it was there."""

from dataclasses import dataclass
from pathlib import Path

from ...patches.format.patch import Patch
from ..named_remotes import DEFAULT
from ..registry import Registry
from ..remotes.errors import RemoteNotFound, RemoteRefused
from ..remotes.location import site, without_revision


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
    """The remote that any version of a patch was last pushed to or pulled from, if there is one.

    Raises DatabaseFailed.
    """
    used = registry.exchanges(name)
    return without_revision(used[0].remote) if used else None


def highest(registry: Registry, name: str, remote: str) -> int:
    """The highest version of a patch that went to or came from this place, 0 for none.

    All of the Hub is one place. Raises DatabaseFailed.
    """
    place = site(remote)
    exchanges = registry.exchanges(name)
    return max((one.highest for one in exchanges if site(one.remote) == place), default=0)


def refuse_older(registry: Registry, patch: Patch, remote: str) -> None:
    """Raise RemoteRefused if a higher version of the patch went to or came from this place."""
    name = patch.manifest.name
    seen = highest(registry, name, remote)
    if patch.manifest.version < seen:
        raise RemoteRefused(
            f"the newest at {remote} is {patch.label}, and {name}@{seen} was there before",
            why="versions were taken away there, or somebody shows you an old state of it",
            hint=f"if you want it, ask for {patch.label} by its number, or add --older",
        )


def require_known_folder(registry: Registry, folder: Path) -> None:
    """Raise RemoteNotFound if something was exchanged with a folder that is not there now."""
    if folder.is_dir():
        return
    known = next((one for one in registry.exchanges() if one.remote == str(folder)), None)
    if known is not None:
        raise RemoteNotFound(
            f"there is no folder {folder} now, and {known.name} was pushed or pulled there before",
            why="a new folder in its place would not be the remote that others know",
            hint="is the drive mounted? If the folder is to begin anew, make it first",
        )
