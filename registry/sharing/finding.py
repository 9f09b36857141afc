"""Find patches at a remote, and look at one of them, without pulling anything."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...patches.checkpoints.checkpoint import Checkpoint
from ...patches.errors import InputError, NameRefused
from ...patches.evaluation.conditions import Condition, require_measures
from ...patches.format.names import quoted
from ...patches.progress import Progress, silent
from ..errors import NotFound, QueryRefused
from ..remotes.base import open_remote
from ..remotes.catalogue import Found, Glimpse, Wanted
from ..remotes.location import ON_HUB, parse_location, parse_proposal, refuse_proposal, scheme

if TYPE_CHECKING:
    from ..registry import Registry, VersionInfo


@dataclass(frozen=True)
class Known:
    """What a registry knows of a version that was looked at.

    `same` is that very version. `other` has its number and another digest: an alarm. `highest` is
    the highest number of the patch that was seen at the remote before, 0 for none.
    """

    same: "VersionInfo | None"
    other: "VersionInfo | None"
    highest: int


def search(
    location: str,
    text: str | None = None,
    *,
    base: str | Checkpoint | None = None,
    method: str | None = None,
    author: str | None = None,
    scores: Sequence[str] = (),
    limit: int = 20,
    progress: Progress = silent,
) -> Found:
    """List at most `limit` patches of `hf://` or a folder, the last changed first.

    The words of `text` are parts of the patch's name, `author` is its namespace, `scores` are
    conditions on what the publisher says: none of it is checked. `base` is a model's name, which on
    the Hub is all there is, or a checkpoint that fits. Raises RemoteError, QueryRefused,
    NameRefused, PathRefused, LimitExceeded, OSError.
    """
    words, conditions = tuple((text or "").split()), _conditions(scores)
    wanted = Wanted(words, base, method, author, conditions)
    return open_remote(location).search(wanted, limit, progress=progress)


def look(location: str, *, progress: Progress = silent) -> Glimpse:
    """Read the manifest of `hf://namespace/name[@revision]` alone, the newest version's by default.

    A folder is given with the name of the patch, as in `FOLDER/namespace/name`. Raises RemoteError,
    NameRefused, PathRefused, OSError, and the InputError that says what is wrong with the manifest.
    """
    remote, name = _split(location)
    return open_remote(remote).look(name, progress=progress)


def known(registry: "Registry", seen: Glimpse) -> Known:
    """What the registry knows of a version that was looked at; raises DatabaseFailed."""
    from .seen import highest

    manifest = seen.manifest
    same = other = None
    with suppress(NotFound):
        same = registry.resolve(f"sha256:{seen.digest}", to_read=True)
    with suppress(NotFound):
        found = registry.resolve(manifest.label, to_read=True)
        other = found if found.digest != seen.digest else None
    return Known(same, other, highest(registry, manifest.name, seen.location))


def _split(location: str) -> tuple[str, str]:
    """The remote that a patch lies at, and the patch."""
    if scheme(location) is not None:
        name = parse_location(location).name
        if name is None:
            raise NameRefused(
                f"{quoted(location)} names no patch", hint=f"write {ON_HUB}namespace/name"
            )
        return location, name
    refuse_proposal(location)
    place = parse_proposal(location)
    return place.remote, place.name


def _conditions(scores: Sequence[str]) -> tuple[Condition, ...]:
    try:
        conditions = tuple(map(Condition.parse, scores))
        require_measures(conditions)
    except InputError as error:
        raise QueryRefused(error.message, hint=error.hint) from None
    return conditions
