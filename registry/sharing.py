"""Push and pull: what lies between the registry and a remote."""

import tempfile
from pathlib import Path

from ..patches import jsonfile
from ..patches.card import write_card
from ..patches.evaluation.base import Evaluation
from ..patches.progress import Progress, silent
from .registry import Registry, VersionInfo
from .remotes.base import Bundle, Pushed, open_remote


def push(
    registry: Registry, reference: str, location: str, *, progress: Progress = silent
) -> Pushed:
    """Send a version with its card and its evaluations; a version already there stays as it is."""
    patch = registry.patch(reference)
    evaluations = registry.evaluations(patch.digest)
    bundle = Bundle(...)  # type: ignore[arg-type]
    pushed = open_remote(location).push(bundle, progress=progress)
    return pushed
