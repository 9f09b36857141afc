"""How records of the registry look as JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..registry.registry import VersionInfo


def version_json(version: "VersionInfo") -> dict[str, Any]:
    """A version as plain JSON values."""
    return asdict(version)
