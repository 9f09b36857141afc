"""Ask the Hub again where that is safe: a few times, later each time, and not for long."""

import random
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from .....patches.progress import Progress, silent
from ...errors import RemoteRace
from .client import asking
from .errors import (
    PASSING,
    failing,
    has_other_size,
    origin,
    requested_wait,
    xet_broke_off,
    xet_status,
)
from .hooks import ANSWERS, LONGEST_WAIT
from .waits import WAIT, Wait

if TYPE_CHECKING:
    import httpx2

TRIES = 3
DECISIONS = 5
SECONDS = 30.0
"""What fails later than this after it was first tried, pauses that the Hub asks for left out, has
failed; what fails sooner is tried once more, after a pause."""

Answer = TypeVar("Answer")


def repeating(
    ask: Callable[[], Answer], what: str, *, progress: Progress = silent, signed: bool = False
) -> Answer:
    """Give what `ask` gives; if it fails in a way that may pass, ask again, `TRIES` times in all.

    `ask` must be safe to repeat even if it was done and only its reply was lost. A `signed` address
    may have expired, so that being denied it may pass. A Hub that cannot be reached at all is not
    asked twice: who has no network should learn so at once. Each pause is told to `progress` as a
    phase without an end, and as 0 of 0 when it is over. Raises RemoteError, as `asking`.
    """
    import httpx2

    wait = Wait(progress)
    before, answers = WAIT.set(wait), ANSWERS.set(count(1))
    last = time.monotonic() + SECONDS
    try:
        with asking(what):
            for number in range(TRIES - 1):
                try:
                    return ask()
                except (OSError, httpx2.HTTPError, RuntimeError) as error:
                    wanted = _wanted_pause(error)
                    if not _may_pass(error, signed=signed) or wanted > LONGEST_WAIT:
                        raise
                    if time.monotonic() > last:
                        raise
                    last += wanted
                    seconds = wanted + _jitter(number)
                    if not wanted:
                        wait.begin(f"{_said(error)}, trying again in {seconds:.0f} s")
                    time.sleep(seconds)
                    wait.end()
            return ask()
    finally:
        wait.end()
        WAIT.reset(before)
        ANSWERS.reset(answers)


def deciding(decide: Callable[[], Answer], *, progress: Progress = silent) -> Answer:
    """Give what `decide` gives; if somebody else wrote meanwhile, decide anew, `DECISIONS` times.

    What the Hub says of a branch lags behind a little, so a pause comes before each, which is told
    to `progress` as in `repeating`. Raises RemoteRace if it was always so.
    """
    wait = Wait(progress)
    last = time.monotonic() + SECONDS
    for number in range(DECISIONS - 1):
        try:
            return decide()
        except RemoteRace as error:
            if time.monotonic() > last:
                raise
            seconds = _jitter(number)
            wait.begin(f"{error.message}, looking again in {seconds:.0f} s")
        time.sleep(seconds)
        wait.end()
    return decide()


def _said(error: Exception) -> str:
    """What went wrong, as the beginning of a sentence."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    error = origin(error)
    status = xet_status(error)
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
    if status in PASSING:
        return failing(status)
    if isinstance(error, httpx2.TimeoutException):
        return "the Hub does not answer"
    return "the transfer broke off"


def _may_pass(error: Exception, *, signed: bool) -> bool:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    error = origin(error)
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        expired = signed and status == 403 and _is_elsewhere(error.response.request)
        return status in PASSING or expired
    if isinstance(error, (httpx2.ConnectError, httpx2.ProxyError, httpx2.UnsupportedProtocol)):
        return False
    if xet_status(error) in PASSING or xet_broke_off(error):
        return True
    return isinstance(error, httpx2.TransportError) or has_other_size(error)


def _is_elsewhere(request: "httpx2.Request") -> bool:
    """Whether something was fetched from an address that the Hub sent us on to."""
    import httpx2
    from huggingface_hub import constants

    return request.method == "GET" and request.url.origin != httpx2.URL(constants.ENDPOINT).origin


def _wanted_pause(error: Exception) -> int:
    from huggingface_hub.errors import HfHubHTTPError

    error = origin(error)
    if not isinstance(error, HfHubHTTPError):
        return 0
    return requested_wait(error.response.headers) or 0


def _jitter(number: int) -> float:
    """Seconds to wait, more each time, and others than those who failed at the same time."""
    return 2.0**number * random.uniform(0.5, 1.5)  # noqa: S311 - nobody must be unable to guess it
