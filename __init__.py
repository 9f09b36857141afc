"""weightpatch: a registry of model edits.

The public names are loaded when they are first used, so importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_PUBLIC = {
    "Checkpoint": ".patches.checkpoints.checkpoint",
    "EditRequest": ".patches.requests",
    "Patch": ".patches.format.patch",
    "Registry": ".registry.registry",
    "WeightpatchError": ".patches.errors",
    "apply": ".patches.builds.apply",
    "attach": ".patches.live",
    "check": ".patches.conflicts.check",
    "detach_all": ".patches.live",
    "load": ".patches.live",
    "patched": ".patches.live",
    "revert": ".patches.builds.revert",
}

__all__ = [
    "Checkpoint",
    "EditRequest",
    "Patch",
    "Registry",
    "WeightpatchError",
    "__version__",
    "apply",
    "attach",
    "check",
    "detach_all",
    "load",
    "patched",
    "revert",
]

if TYPE_CHECKING:
    from .patches.builds.apply import apply
    from .patches.builds.revert import revert
    from .patches.checkpoints.checkpoint import Checkpoint
    from .patches.conflicts.check import check
    from .patches.errors import WeightpatchError
    from .patches.format.patch import Patch
    from .patches.live import attach, detach_all, load, patched
    from .patches.requests import EditRequest
    from .registry.registry import Registry


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name], __name__), name)
