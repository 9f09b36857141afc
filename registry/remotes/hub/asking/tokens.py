"""Where the user's token may go: to the Hub alone, whatever place an answer names.

huggingface_hub 2.4 sends it along to wherever a list is said to go on, or an upload is confirmed.
"""

from typing import TYPE_CHECKING

from ...errors import RemoteUnreachable
from .errors import NO_HUB

if TYPE_CHECKING:
    import httpx2

_AGENT = "weightpatch/"
_PORTS = {"http": 80, "https": 443}


def is_ours(request: "httpx2.Request") -> bool:
    """Whether it was weightpatch that asked: the program that it is part of may ask other hubs."""
    return request.headers.get("User-Agent", "").startswith(_AGENT)


def is_at_hub(url: "httpx2.URL") -> bool:
    """Whether an address is the Hub's, or the same host's where that has gone over to https."""
    import httpx2
    from huggingface_hub import constants

    hub = httpx2.URL(constants.ENDPOINT).origin
    moved = (hub.scheme, hub.port) == ("http", _PORTS["http"]) and url.origin.host == hub.host
    is_safer = (url.origin.scheme, url.origin.port) == ("https", _PORTS["https"])
    return url.origin == hub or (moved and is_safer)


def keep_token(request: "httpx2.Request") -> None:
    """Take the token out of a request of ours that goes anywhere else; all may ask without one."""
    if is_ours(request) and not is_at_hub(request.url):
        request.headers.pop("Authorization", None)


def refuse_token_places(response: "httpx2.Response") -> None:
    """Raise RemoteUnreachable if Xet would fetch its permits elsewhere, as the token goes along.

    Xet asks by itself, so that no hook sees it. What names the public Hub is sent to the one here.
    """
    import httpx2
    from huggingface_hub import constants

    place = response.links.get(constants.HUGGINGFACE_HEADER_LINK_XET_AUTH_KEY, {}).get("url")
    place = place or response.headers.get(constants.HUGGINGFACE_HEADER_X_XET_REFRESH_ROUTE)
    if not place or not is_ours(response.request):
        return
    url = httpx2.URL(place)
    public = httpx2.URL(constants.HUGGINGFACE_CO_URL_HOME).origin
    if url.is_absolute_url and url.origin != public and not is_at_hub(url):
        raise RemoteUnreachable(
            "the Hub wants your token to be sent to another place",
            why=f"a file's permit is to be had at {url.host}, which is not the Hub",
            hint=f"{NO_HUB} Do not trust this source",
        )
