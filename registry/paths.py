"""Paths as people type them."""

from pathlib import Path

from ..patches.errors import PathRefused
from ..patches.format.names import quoted


def user_path(text: str) -> Path:
    """A path with `~` put in full; raises PathRefused for the home of somebody not known here."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise PathRefused(
            f"{quoted(text)} begins with the home folder of somebody who is not known here",
            hint="write the path in full",
        ) from None
