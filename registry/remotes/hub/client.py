"""The Hub's own client, with the time limits that it lacks and its failures in our words."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ....patches.errors import WeightpatchError
from ..errors import RemoteUnreachable
from .errors import explain

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
_limiting = threading.Lock()


def client() -> "HfApi":
    """The client; tokens come from where `hf auth login` puts them, and are never seen here."""
    from huggingface_hub import HfApi

    _limit_time()
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


@contextmanager
def uploading() -> Iterator[None]:
    """Keep the client's own bars off the terminal, and its warnings about itself off a strict run.

    huggingface_hub 2.4 calls httpx2 in a way that httpx2 calls deprecated; nobody here can help it.
    The filters stay: taking them away again is not safe while another thread uploads.
    """
    from huggingface_hub.utils.tqdm import disable_progress_bars

    warnings.filterwarnings("ignore", message="Use 'content=", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="Cannot disable progress bars")
    with disable_progress_bars():
        yield


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
            return
        hooks = dict(session.event_hooks)
        hooks["response"] = [*hooks.get("response", []), _refuse_paths]

        def limited() -> httpx2.Client:
            limits = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
            return httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=limits)

        set_client_factory(limited)


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
