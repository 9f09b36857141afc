"""What the Hub's client raises, in our words: what happened, and what to do next."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .....patches.errors import WeightpatchError
from ...errors import (
    RemoteBusy,
    RemoteDenied,
    RemoteError,
    RemoteNotFound,
    RemoteRace,
    RemoteRefused,
    RemoteUnreachable,
)

if TYPE_CHECKING:
    from httpx2 import Request
    from huggingface_hub.errors import HfHubHTTPError

MAX_QUOTE = 200
PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses of a failure that may pass by itself."""

NO_HUB = "is HF_ENDPOINT really a Hub?"
"""The hint for an answer that no Hub gives."""

_SECRET = re.compile(r"hf_\w+|Bearer\s+\S+|[?&][^\s=&]+=[^\s&]+", re.IGNORECASE)
_XET_STATUS = re.compile(r"HTTP status \w+ error \((\d{3})\b")
_XET_WRITES = re.compile(r"/xet-write-token/|/v\d+/(xorbs|xorb-grants|shards)\b")
_XET = "CAS Client Error"
_XET_BROKEN = re.compile("error sending request|decoding response body")
_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
_FINISH = "what was cut off is finished by doing it again"
_READING = "ask its owner for access; your token must be allowed to read it"
_ANOTHER_TOKEN = f"{_LOG_IN}; a HF_TOKEN that is set counts alone: correct it, or unset it"
_WRITING = (
    "the namespace must be your account or an organisation of yours, and your token must be "
    "allowed to write; to a patch of others a version is proposed: weightpatch propose"
)
_PROPOSING = "your token must be allowed to write, and pull requests not be turned off there"
_MERGING = "only who may write to it can merge, here or on its page"
_WISHES = {_WRITING: "write to", _PROPOSING: "propose to", _MERGING: "merge into"}


def explain(error: Exception, what: str) -> Exception:
    """Our error for a failure of the client that happened while it was asked for `what`.

    A failure of this machine, such as a full disk, is given back as it is. The error's own text is
    not repeated: it can hold signed addresses.
    """
    from huggingface_hub.errors import HfHubHTTPError

    error = origin(error)
    if isinstance(error, HfHubHTTPError):
        return _answered(error, what)
    if status := xet_status(error):
        rights = _WRITING if _XET_WRITES.search(str(error)) else _READING
        return _by_status(status, what, None, "in a few minutes", rights)
    if unreachable := _unreachable(error, what):
        return unreachable
    if isinstance(error, WeightpatchError) or (isinstance(error, OSError) and error.errno):
        return error
    return _useless(error, what)


def _useless(error: Exception, what: str) -> RemoteUnreachable:
    if has_other_size(error):
        return RemoteUnreachable(
            f"a file of {what} did not come whole",
            why="it is not as long as the Hub said",
            hint="try again; if it stays so, do not trust this source",
        )
    return RemoteUnreachable(
        f"the Hub's answer about {what} cannot be used",
        why=f"the transfer broke off or made no sense ({type(error).__name__})",
        hint=f"try again; if it stays so, {NO_HUB}",
    )


def quote(text: str | None) -> str | None:
    """What a server said, fit to show: one short line without secrets or control characters."""
    if not text:
        return None
    return f"the Hub says: {one_line(_SECRET.sub('…', text))}"


def one_line(text: str) -> str:
    """A text as one short line without control characters."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.split())[:MAX_QUOTE]


def origin(error: Exception) -> Exception:
    """The failure that the client wrapped, as far as it tells something."""
    import httpx2

    while not isinstance(error, (httpx2.HTTPError, ConnectionError)) and isinstance(
        error.__cause__, Exception
    ):
        error = error.__cause__
    return error


def has_other_size(error: Exception) -> bool:
    """Whether a file came with another size than was announced, which only the text tells."""
    return isinstance(error, OSError) and str(error).startswith("Consistency check failed")


def xet_broke_off(error: Exception) -> bool:
    """Whether Xet's client lost a connection, and gave up after tries of its own."""
    is_xets = isinstance(error, (ConnectionError, RuntimeError))
    return is_xets and bool(_XET_BROKEN.search(str(error)))


def requested_wait(headers: Mapping[str, str]) -> int | None:
    """The seconds for which a reply asks to be left alone, if it does."""
    reset = re.search(r"\br=0;t=(\d+)", headers.get("RateLimit", "").replace(" ", ""))
    seconds = reset[1] if reset else headers.get("Retry-After", "")
    return int(seconds) if re.fullmatch(r"[0-9]{1,9}", seconds) else None


def failing(status: int) -> str:
    """What a status that may pass means, as the beginning of a sentence."""
    return "the Hub wants fewer requests" if status == 429 else f"the Hub failed (status {status})"


def xet_status(error: Exception) -> int | None:
    """The status that Xet's client was answered, which only its text tells."""
    if not isinstance(error, (ConnectionError, RuntimeError)):
        return None
    status = _XET_STATUS.search(str(error))
    return int(status[1]) if status else None


def _unreachable(error: Exception, what: str) -> RemoteUnreachable | None:
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    hub = constants.ENDPOINT
    if isinstance(error, OfflineModeIsEnabled):
        message = f"cannot ask the Hub for {what}: offline mode is on"
        return RemoteUnreachable(message, hint="unset HF_HUB_OFFLINE")
    if isinstance(error, (httpx2.TimeoutException, TimeoutError)):
        message = f"{hub} does not answer"
    elif isinstance(error, (httpx2.ConnectError, httpx2.ProxyError, ConnectionRefusedError)):
        message = f"{hub} cannot be reached"
    elif isinstance(error, (httpx2.TransportError, ConnectionError)) or _XET in str(error):
        message = f"the connection to {hub} broke off"
    else:
        return None
    return RemoteUnreachable(
        message,
        why=f"it was asked for {what}",
        hint=f"check the network and proxy, then try again; {_FINISH}",
    )


def _answered(error: "HfHubHTTPError", what: str) -> RemoteError:
    from huggingface_hub import constants, errors

    why, name = quote(error.server_message), what.partition("@")[0]
    if isinstance(error, errors.GatedRepoError):
        page = f"{constants.ENDPOINT}/{name}"
        return RemoteDenied(
            f"{name} is gated", why=why, hint=f"ask for access at {page}, then {_LOG_IN}"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return RemoteNotFound(
            f"the Hub has no repository {name}, or does not show it to you",
            hint=f"check the name; if it is private, {_LOG_IN}",
        )
    if isinstance(error, (errors.RevisionNotFoundError, errors.EntryNotFoundError)):
        return RemoteNotFound(f"{what} has no such revision or file", hint="check the revision")
    rights = _rights(error.response.request)
    return _by_status(error.response.status_code, what, why, _wait(error), rights)


def _rights(request: "Request") -> str:
    """What a user must be allowed to for a request, and how to come by it."""
    if request.method in ("GET", "HEAD"):
        return _READING
    if "create_pr" in request.url.params:
        return _PROPOSING
    return _MERGING if request.url.path.endswith("/merge") else _WRITING


def _by_status(status: int, what: str, why: str | None, wait: str, rights: str) -> RemoteError:
    if status in (404, 410):
        return RemoteNotFound(f"the Hub does not find {what}", why=why, hint="check the name")
    if status in (409, 412):
        return RemoteRace(f"somebody else changed {what} meanwhile", why=why, hint="try again")
    if status in (401, 403):
        return _denied(status, what, why, rights)
    if status == 429:
        message = "the Hub wants fewer requests for a while"
        return RemoteBusy(message, why=why, hint=f"try again {wait}")
    if status == 408 or status >= 500:
        return RemoteUnreachable(
            f"the Hub failed when it was asked for {what} (status {status})",
            why=why,
            hint=f"try again later; {_FINISH}",
        )
    return RemoteRefused(
        f"the Hub refused {what} (status {status})",
        why=why or "it gives no reason",
        hint="is HF_ENDPOINT the Hub that is meant? If it stays so, ask those who run it",
    )


def _denied(status: int, what: str, why: str | None, rights: str) -> RemoteDenied:
    if status == 401:
        message = f"the Hub does not know who asks for {what}"
        return RemoteDenied(message, why=why, hint=_ANOTHER_TOKEN)
    wish = _WISHES.get(rights, "read")
    return RemoteDenied(f"you are not allowed to {wish} {what}", why=why, hint=rights)


def _wait(error: "HfHubHTTPError") -> str:
    seconds = requested_wait(error.response.headers)
    return "in a few minutes" if seconds is None else f"in {seconds} seconds"
