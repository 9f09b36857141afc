"""How a user can call a proposal: by its place, by the address of its page, by the patch alone."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..patches.errors import NameRefused
from .app import App

if TYPE_CHECKING:
    from ..registry.registry import Registry
    from ..registry.remotes.location import ProposalPlace

HUB = "hf://"
_BARE = re.compile(r"[a-z0-9][^/]*/[a-z0-9][^/]*(/pr/[1-9][0-9]*)?/?")
_PAGE = re.compile(
    r"/([^/]+/[^/]+?)(?:/discussions(?:/([1-9][0-9]{0,8})(?:/files)?)?)?/?(?:[?#].*)?", re.DOTALL
)


def place_of(app: App, registry: "Registry", text: str) -> "ProposalPlace":
    """The proposals that a user means: a place, the address of a page, or a patch by its name.

    A name alone is looked for where the patch was last exchanged, else on the Hub. Raises
    NameRefused, NotFound.
    """
    from ..registry.remotes.location import parse_proposal
    from ..registry.seen import usual_remote

    if text.startswith(("http://", "https://")):
        return parse_proposal(_of_page(text))
    place = parse_proposal(text)
    if text.startswith(HUB):
        return place
    if not _BARE.fullmatch(text) or Path(place.name).is_dir():
        return _at(place, registry.remote_at(place.remote))
    usual = usual_remote(registry, place.name)
    remote = usual.location if usual else HUB
    app.output.note(f"at {remote}, {usual.why if usual else 'as no other place is known'}")
    return _at(place, remote)


def _at(place: "ProposalPlace", remote: str) -> "ProposalPlace":
    from ..registry.remotes.location import ProposalPlace

    return ProposalPlace(remote, place.name, place.number)


def _of_page(address: str) -> str:
    """The address of a pull request's page on the Hub that is used, as a place."""
    from huggingface_hub import constants

    hub = constants.ENDPOINT.rstrip("/")
    match = _PAGE.fullmatch(address.removeprefix(hub)) if address.startswith(hub) else None
    if match is None:
        raise NameRefused(
            f"{address} is not the page of a pull request",
            why=f"pages of the Hub that is used begin with {hub}/",
            hint=f"write {HUB}namespace/name/pr/7",
        )
    return f"{HUB}{match[1]}" + (f"/pr/{match[2]}" if match[2] else "")
