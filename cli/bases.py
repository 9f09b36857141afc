"""BASE as the command line opens it: what has to be downloaded is said before, and shown."""

from typing import TYPE_CHECKING

from ..registry.paths import user_path
from .progress import progress_bar
from .texts import counted, size

if TYPE_CHECKING:
    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..registry.remotes.hub.models.files import Arrival
    from .config import Config
    from .output import Output


def named_base(spec: str, config: "Config", output: "Output") -> "Checkpoint":
    """The checkpoint that BASE names: a folder, or a Hub id with revision."""
    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..patches.digests import DigestCache

    cache = DigestCache(config.cache / "digests")
    folder = user_path(spec)
    if folder.is_dir():
        return Checkpoint.open(folder, cache=cache)  # without waiting for the Hub's client
    from ..registry.bases import open_base

    def announce(arrival: "Arrival") -> None:
        output.note(
            f"downloading {counted(arrival.files, 'file')} of {arrival.model}, "
            f"{size(arrival.size)}, to {arrival.cache}"
        )

    with progress_bar(quiet=output.as_json) as progress:
        return open_base(spec, cache=cache, progress=progress, announce=announce)
