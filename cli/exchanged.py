"""What `push`, `pull` and `propose` have in common: what a user may mistype, and what is told."""

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..registry.registry import VersionInfo

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*(@[a-z0-9._-]+)?")
_PLACE = re.compile(r"[./~].*|[^/:]+|[a-z]+://.*", re.DOTALL)


def refuse_mistyped(command: str, reference: str, remote: str | None) -> None:
    """Raise UsageError, with what is meant, for a slash too many, or a place before the version."""
    name = reference.removesuffix("/")
    if name != reference and _NAME.fullmatch(name):
        raise click.UsageError(f"{reference} has a slash too many at its end; write {name}")
    if remote is None or not _PLACE.fullmatch(reference):
        return
    other = remote.removesuffix("/")
    if _NAME.fullmatch(other):
        raise click.UsageError(
            f"The version comes first, then the place: weightpatch {command} {other} {reference}"
        )


def identity(info: "VersionInfo") -> dict[str, Any]:
    """Which version it is, for programs."""
    return {"name": info.name, "version": info.version, "digest": info.digest}


def at(location: str, revision: str | None) -> str:
    """A place with the commit there, if it has any."""
    if revision is None or location.endswith(revision):
        return location
    return f"{location} (commit {revision[:12]})"
