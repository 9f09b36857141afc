"""What this registry has seen at remotes: where a patch was last, and how far it was there."""

from ..patches.format.patch import Patch
from .registry import Registry
from .remotes.errors import RemoteRefused
from .remotes.location import anywhere, site


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
