"""What each question to the Hub is given, and each answer is looked at for."""

from typing import TYPE_CHECKING

from ..errors import RemoteBusy, RemoteUnreachable
from .errors import PASSING, failing, requested_wait
from .waits import WAIT

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

LONGEST_WAIT = 60
"""Seconds that the Hub may have us wait; the client alone would sleep for as long as it is told."""


def response_hooks() -> "list[Callable[[httpx2.Response], None]]":
    """The hooks, for a client of httpx2; each raises RemoteError."""
    return [_refuse_paths, _heed_wait, _refuse_failed_check]


def limit_hook(limits: "httpx2.Timeout") -> "Callable[[httpx2.Request], None]":
    """A hook that lets no request go out without time limits.

    huggingface_hub 2.4 asks for a model's state without any, whatever its client's limits are.
    """

    def limit(request: "httpx2.Request") -> None:
        own = request.extensions.get("timeout", {})
        given = {what: seconds for what, seconds in own.items() if seconds is not None}
        request.extensions["timeout"] = {**limits.as_dict(), **given}

    return limit


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
    """Show that there is a pause; raise RemoteBusy if the Hub asks for too long a one.

    A failure that may pass is followed by one, of our client's making or of our own.
    """
    wait, status = WAIT.get(), response.status_code
    if wait:
        wait.end()
    if status not in PASSING:
        return
    seconds = requested_wait(response.headers)
    if seconds is not None and seconds > LONGEST_WAIT:
        raise RemoteBusy(
            "the Hub wants fewer requests for a while", hint=f"try again in {seconds} seconds"
        )
    if wait and seconds is not None:
        wait.begin(f"the Hub asks for a pause of {seconds} s")
    elif wait:
        wait.begin(f"{failing(status)}, trying again")


def _refuse_failed_check(response: "httpx2.Response") -> None:
    """Raise HfHubHTTPError if the card could not be checked.

    huggingface_hub 2.4 reads that answer as JSON before it looks whether it is one.
    """
    if response.request.url.path.endswith("/api/validate-yaml") and response.status_code in PASSING:
        from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

        response.read()
        hf_raise_for_status(response)
