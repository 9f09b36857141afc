"""BASE as the command line opens it: what has to be downloaded is said before, and shown."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..patches.errors import CheckpointRefused
from ..registry.paths import user_path
from ..registry.remotes.location import ON_HUB, is_commit
from .progress import progress_bar
from .texts import counted, size

if TYPE_CHECKING:
    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..patches.format.patch import Patch
    from ..registry.remotes.hub.models.files import Arrival
    from .config import Config
    from .output import Output

_IN_HUB_CACHE = re.compile(r"models--(?:(?P<owner>[^/]+?)--)?(?P<name>[^/]+)")


def named_base(spec: str, config: "Config", output: "Output") -> "Checkpoint":
    """The checkpoint that BASE names: a folder, or a Hub id with revision.

    A folder in the Hub's cache says by its path which model it is, at which commit.
    """
    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..patches.digests import DigestCache

    cache = DigestCache(config.cache / "digests")
    folder = user_path(spec)
    if folder.is_dir():  # without waiting for the Hub's client
        model, commit = _in_hub_cache(folder.resolve())
        return Checkpoint.open(folder, id=model, revision=commit, cache=cache)
    if spec.startswith(ON_HUB):
        raise CheckpointRefused(
            f"{spec} is written as a patch on the Hub is, and a base is named without {ON_HUB}",
            hint=f"name it: {spec.removeprefix(ON_HUB) or 'org/model'}",
        )
    from ..registry.bases import open_base

    def announce(arrival: "Arrival") -> None:
        output.note(
            f"downloading {counted(arrival.files, 'file')} of {arrival.model}, "
            f"{size(arrival.size)}, to {arrival.cache}"
        )

    with progress_bar(quiet=output.as_json) as progress:
        return open_base(spec, cache=cache, progress=progress, announce=announce)


def unknown_base(patch: "Patch") -> CheckpointRefused:
    """The error for a patch of which no base is known here, with what its manifest calls it."""
    from ..patches.format.front_matter import is_hub_id

    named = [base for base in patch.manifest.bases if is_hub_id(base.id) or base.revision]
    return CheckpointRefused(
        f"no base of {patch.label} is known on this machine",
        why=f"it was made for {patch.manifest.bases[0].label}",
        hint=f"name it with --base {named[0].label}, or the folder of a copy"
        if named
        else "name it with --base FOLDER or --base org/model@revision",
    )


def _in_hub_cache(folder: Path) -> tuple[str | None, str | None]:
    """Model and commit of a folder `models--org--name/snapshots/COMMIT`; nothing for another."""
    match = _IN_HUB_CACHE.fullmatch(folder.parent.parent.name)
    if match is None or folder.parent.name != "snapshots" or not is_commit(folder.name):
        return None, None
    owner = f"{match['owner']}/" if match["owner"] else ""
    return f"{owner}{match['name']}", folder.name
