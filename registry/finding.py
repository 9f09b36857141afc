"""Find patches at a remote, and look at one of them, without pulling anything."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..patches.checkpoints.checkpoint import Checkpoint
from ..patches.errors import InputError, NameRefused
from ..patches.evaluation.conditions import Condition, require_measures
from ..patches.format.front_matter import is_hub_id
from ..patches.format.names import quoted
from ..patches.progress import Progress, silent
from .errors import NotFound, QueryRefused
from .remotes.catalogue import Found, Glimpse, Wanted
from .remotes.errors import RemoteRefused
from .remotes.location import HUB, parse_location, parse_proposal, scheme, site

if TYPE_CHECKING:
    from .registry import Registry, VersionInfo

ON_HUB = f"{HUB}://"


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
    if not location:
        raise NameRefused("the place to search is empty", hint=f"write {ON_HUB}, or a folder")
    if scheme(location) is None:
        from .remotes.folder_searching import search as search_folder

        return search_folder(location, wanted, limit, progress=progress)
    _require_all_of_hub(location)
    from .remotes.hub.searching import search as search_hub

    return search_hub(replace(wanted, base=_on_hub(base)), limit, progress=progress)


def look(location: str, *, progress: Progress = silent) -> Glimpse:
    """Read the manifest of `hf://namespace/name[@revision]` alone, the newest version's by default.

    Raises RemoteError, NameRefused, and the InputError that says what is wrong with the manifest.
    """
    _refuse_proposal(location)
    place = parse_location(location)
    if place.name is None:
        raise NameRefused(
            f"{quoted(location)} names no patch", hint=f"write {ON_HUB}namespace/name"
        )
    from .remotes.hub.looking import look as look_on_hub

    return look_on_hub(place.name, place, progress=progress)


def known(registry: "Registry", seen: Glimpse) -> Known:
    """What the registry knows of a version that was looked at."""
    manifest = seen.manifest
    same = other = None
    with suppress(NotFound):
        same = registry.resolve(f"sha256:{seen.digest}", to_read=True)
    with suppress(NotFound):
        found = registry.resolve(manifest.label, to_read=True)
        other = found if found.digest != seen.digest else None
    here = site(seen.location)
    exchanges = registry.exchanges(manifest.name)
    highest = max((one.highest for one in exchanges if site(one.remote) == here), default=0)
    return Known(same, other, highest)


def _require_all_of_hub(location: str) -> None:
    if scheme(location) != HUB:
        raise RemoteRefused(
            f"{quoted(location)} cannot be searched", hint=f"search {ON_HUB}, or a folder"
        )
    if parse_location(location).name is not None:
        raise RemoteRefused(
            f"{location} is one patch, so there is nothing to search",
            hint=f"weightpatch show {location}, or search {ON_HUB}",
        )


def _on_hub(base: str | Checkpoint | None) -> str | None:
    """The id of a base without its revision, of which a card knows nothing."""
    if base is None:
        return None
    name = base.partition("@")[0] if isinstance(base, str) else base.id
    if not is_hub_id(name):
        raise QueryRefused(
            f"{quoted(name)} is no model on the Hub", hint="write --base organisation/model"
        )
    return name


def _conditions(scores: Sequence[str]) -> tuple[Condition, ...]:
    try:
        conditions = tuple(map(Condition.parse, scores))
        require_measures(conditions)
    except InputError as error:
        raise QueryRefused(error.message, hint=error.hint) from None
    return conditions


def _refuse_proposal(location: str) -> None:
    with suppress(NameRefused):
        if parse_proposal(location).number is not None:
            raise RemoteRefused(
                f"{quoted(location)} is a proposal, not a version",
                hint=f"weightpatch review {location}",
            )
