"""How a user can call a proposal: by its place, by the address of its page, by the patch alone."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..patches.errors import NameRefused
from ..registry.remotes.location import ON_HUB
from .app import App
from .remotes import place_in, usual_or_hub

if TYPE_CHECKING:
    from ..registry.registry import Registry
    from ..registry.remotes.location import ProposalPlace

_BARE = re.compile(r"[a-z0-9][^/]*/[a-z0-9][^/]*(/pr/[1-9][0-9]*)?/?")
_PAGE = re.compile(
    r"/([^/]+/[^/]+?)(?:/discussions(?:/([1-9][0-9]{0,8})(?:/files)?)?)?/?(?:[?#].*)?", re.DOTALL
)


def place_of(app: App, registry: "Registry", text: str) -> "ProposalPlace":
    """The proposals that a user means: a place, the address of a page, or a patch by its name.

    A name alone is looked for where the patch was last exchanged, else on the Hub. Raises
    NameRefused, NotFound, PathRefused.
    """
    from ..registry.remotes.location import folder_path, parse_proposal, scheme

    if text.startswith(("http://", "https://")):
        return parse_proposal(_of_page(text))
    if _BARE.fullmatch(text):
        place = parse_proposal(text)
        if not Path(place.name).is_dir():
            return replace(place, remote=usual_or_hub(app, registry, place.name, "at"))
    place = parse_proposal(place_in(registry, text) if "/" in text else _named(registry, text))
    if scheme(place.remote) is not None:
        return place
    return replace(place, remote=str(folder_path(place.remote)))


def _named(registry: "Registry", word: str) -> str:
    """The repository that the name of a remote means; another word is left as it is."""
    named = (one.location for one in registry.remotes() if one.name == word)
    location = next(named, word)
    if location != word and not location.startswith(ON_HUB):
        raise NameRefused(
            f"{word} means {location}, which is no patch", hint=f"write {word}/namespace/name"
        )
    return location


def _of_page(address: str) -> str:
    """The address of a pull request's page on the Hub that is used, as a place."""
    from huggingface_hub import constants

    hub = constants.ENDPOINT.rstrip("/")
    match = _PAGE.fullmatch(address.removeprefix(hub)) if address.startswith(hub) else None
    if match is None:
        raise NameRefused(
            f"{address} is not the page of a pull request",
            why=f"pages of the Hub that is used begin with {hub}/",
            hint=f"write {ON_HUB}namespace/name/pr/7",
        )
    return f"{ON_HUB}{match[1]}" + (f"/pr/{match[2]}" if match[2] else "")
