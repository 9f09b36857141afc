"""Which software made a patch: names and versions for the manifest."""

from collections.abc import Iterable
from importlib.metadata import version


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions of weightpatch and of `packages`, by name."""
    return {name: version(name) for name in sorted({"weightpatch", *packages})}
