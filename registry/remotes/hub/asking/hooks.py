"""What each question to the Hub is given, and each answer is looked at for."""

import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

from .....patches.errors import LimitExceeded
from ...errors import RemoteBusy, RemoteRace, RemoteUnreachable
from .errors import NO_HUB, PASSING, failing, requested_wait
from .tokens import keep_token, refuse_token_places
from .waits import WAIT

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

LONGEST_WAIT = 60
"""Seconds that the Hub may have us wait; the client alone would sleep for as long as it is told."""
MAX_ANSWERS = 100
"""Answers in which the Hub may give one list; the client alone would follow its pages for ever."""
ANSWERS: ContextVar[Iterator[int] | None] = ContextVar("answers", default=None)
"""The numbers of the answers to what is being asked now."""
_CREATING = "another conflicting operation is in progress"
_FILE_NAME = re.compile(r"[0-9A-Za-z_=+-]{1,128}")


def request_hooks(limits: "httpx2.Timeout") -> "list[Callable[[httpx2.Request], None]]":
    """What is done to each request before it goes out, for a client of httpx2."""
    return [limit_hook(limits), keep_token]


def response_hooks() -> "list[Callable[[httpx2.Response], None]]":
    """The hooks, for a client of httpx2; each raises RemoteError or LimitExceeded."""
    return [*_guards(), _heed_wait, _refuse_failed_check, _refuse_conflict, _end_list]


def guard(client: "httpx2.Client") -> None:
    """Let a client that somebody else made believe no more than ours; all else stays as it is."""
    hooks = client.event_hooks
    if keep_token not in hooks["request"]:
        client.event_hooks = {
            "request": [*hooks["request"], keep_token],
            "response": [*hooks["response"], *_guards()],
        }


def _guards() -> "list[Callable[[httpx2.Response], None]]":
    """The hooks against answers that are made to harm."""
    from .answers import bound

    return [bound, _refuse_paths, refuse_token_places]


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
    """Raise RemoteUnreachable if a file's ETag or commit cannot be a name in a cache.

    huggingface_hub 2.4 takes them as names, stripped as here, and would write wherever they lead.
    """
    headers = response.headers
    etag = headers.get("X-Linked-Etag") or headers.get("ETag")
    digest = None if etag is None or response.is_error else etag.lstrip("W/").strip('"')
    names = [name for name in (digest, headers.get("X-Repo-Commit")) if name is not None]
    if response.request.method == "HEAD" and not all(map(_FILE_NAME.fullmatch, names)):
        raise RemoteUnreachable(
            "the Hub gives a file a name that leads out of the cache, or that no file can have",
            hint=f"{NO_HUB} Do not trust this source",
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


def _refuse_conflict(response: "httpx2.Response") -> None:
    """Raise RemoteRace if the Hub is making another repository of the same user.

    huggingface_hub 2.4 asks again at once, for as long as the Hub says so.
    """
    if response.request.url.path.endswith("/api/repos/create") and response.status_code == 409:
        response.read()
        if _CREATING in response.text:
            raise RemoteRace(
                "the Hub is making another repository for you",
                why="it makes one at a time",
                hint="try again in a minute",
            )


def _end_list(response: "httpx2.Response") -> None:
    """Raise LimitExceeded if a list has pages without end, which may well be empty."""
    request, answers = response.request, ANSWERS.get()
    is_page = request.method == "GET" and "/api/models/" in request.url.path
    if answers and is_page and response.is_success and next(answers) > MAX_ANSWERS:
        raise LimitExceeded(
            f"the Hub gives a list in more than {MAX_ANSWERS} pages",
            hint=NO_HUB,
        )
