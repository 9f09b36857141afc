"""What each answer of the Hub is looked at for before its client reads it."""

from contextvars import ContextVar
from typing import TYPE_CHECKING

from ....patches.progress import Progress, silent
from ..errors import RemoteBusy, RemoteUnreachable
from .errors import PASSING, requested_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

LONGEST_WAIT = 60
"""Seconds that the Hub may have us wait; the client alone would sleep for as long as it is told."""

WAITING: ContextVar[Progress] = ContextVar("waiting", default=silent)
"""Who is told that the Hub wants a pause."""


def response_hooks() -> "list[Callable[[httpx2.Response], None]]":
    """The hooks, for a client of httpx2; each raises RemoteError."""
    return [_refuse_paths, _heed_wait, _refuse_failed_check]


def _refuse_paths(response: "httpx2.Response") -> None:
    """Raise RemoteUnreachable if a file's ETag leads out of the folder that it names a file in.

    huggingface_hub 2.4 takes it as a file's name, and would write wherever it leads.
    """
    for header in ("ETag", "X-Linked-Etag"):
        name = response.headers.get(header, "").removeprefix("W/")
        if response.request.method == "HEAD" and ("/" in name or "\\" in name):
            raise RemoteUnreachable(
                "the Hub gives a file a name that leads out of the cache",
                hint="is HF_ENDPOINT really a Hub? Do not trust this source",
            )


def _heed_wait(response: "httpx2.Response") -> None:
    """Show a pause that the Hub asks for; raise RemoteBusy if it is too long to sit through."""
    seconds = requested_wait(response.headers)
    if response.status_code not in PASSING or seconds is None:
        return
    if seconds > LONGEST_WAIT:
        raise RemoteBusy(
            "the Hub wants fewer requests for a while", hint=f"try again in {seconds} seconds"
        )
    WAITING.get()(f"the Hub asks for a pause of {seconds} s", 0, None)


def _refuse_failed_check(response: "httpx2.Response") -> None:
    """Raise HfHubHTTPError if the card could not be checked.

    huggingface_hub 2.4 reads that answer as JSON before it looks whether it is one.
    """
    if response.request.url.path.endswith("/api/validate-yaml") and response.status_code in PASSING:
        from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

        response.read()
        hf_raise_for_status(response)
