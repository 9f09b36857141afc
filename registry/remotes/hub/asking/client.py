"""The Hub's own client, with the time limits that it lacks and its failures in our words."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .....patches.errors import WeightpatchError
from .errors import explain
from .hooks import guard, request_hooks, response_hooks

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
_limiting = threading.Lock()


def client() -> "HfApi":
    """The client; tokens come from where `hf auth login` puts them, and are never seen here."""
    from huggingface_hub import HfApi

    _limit_time()
    _hush()
    return HfApi(library_name="weightpatch")


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn every failure of the client into one of our errors about `what`.

    Raises RemoteError, and OSError if it was this machine that failed.
    """
    import httpx2
    from huggingface_hub.errors import XetDownloadError

    try:
        yield
    except WeightpatchError:
        raise
    except (
        OSError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        XetDownloadError,
        RuntimeError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise explain(error, what) from None


def silence_uploads() -> None:
    """Keep the client's own bars off the terminal, and its warnings about itself off a strict run.

    huggingface_hub 2.4 calls httpx2 in a way that httpx2 calls deprecated; nobody here can help it.
    All stays so: taking it back is not safe while another thread uploads.
    """
    from huggingface_hub.utils.tqdm import disable_progress_bars

    warnings.filterwarnings("ignore", message="Use 'content=", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="Cannot disable progress bars")
    disable_progress_bars()


def _limit_time() -> None:
    """Let no request wait for ever, unless the caller's own client sees to that.

    The client is shared by the whole process and is made anew after a failed connection, so it is
    not enough to set its limits once. Setting them closes it, so of several threads only one may.
    """
    import httpx2
    from huggingface_hub import get_session, set_client_factory

    with _limiting:
        session = get_session()
        if session.timeout.read is not None:
            guard(session)
            return
        hooks = dict(session.event_hooks)
        hooks["response"] = [*hooks.get("response", []), *response_hooks()]
        limits = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        hooks["request"] = [*hooks.get("request", []), *request_hooks(limits)]

        def limited() -> httpx2.Client:
            return httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=limits)

        set_client_factory(limited)


def _hush() -> None:
    """Keep the client from writing to the terminal, unless somebody chose how much it shall say.

    It logs each failure that it repeats, with the address, which may be signed.
    """
    from huggingface_hub.utils import logging as client_logging

    if client_logging.get_verbosity() == logging.WARNING:
        client_logging.set_verbosity(logging.CRITICAL)
