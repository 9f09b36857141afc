"""A hub in memory that the real huggingface_hub talks to, written from the protocol.

`install()` must run before anything imports huggingface_hub, which reads its environment once.
Whether large files go by LFS or by Xet is the client's choice: no server can refuse Xet.
"""

import atexit
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import loopback_catalogue
import loopback_commits
import loopback_discussions
import loopback_storage
import loopback_trees
import loopback_xet
from loopback_accounts import account
from loopback_faults import Fault
from loopback_http import Server
from loopback_messages import Refused, Reply, Request
from loopback_repositories import Repositories, Repository
from loopback_routes import PAGE, Routes
from loopback_xet import Xet

if TYPE_CHECKING:
    from collections.abc import Callable

READABLE = {"HF_XET_XORB_COMPRESSION_POLICY": "none"}
"""What lets Xet send what this hub can read."""
_ROUTES: tuple[Routes, ...] = (
    loopback_catalogue.ROUTES,
    loopback_trees.ROUTES,
    loopback_commits.ROUTES,
    loopback_discussions.ROUTES,
    loopback_storage.ROUTES,
)
USED = ("HF_ENDPOINT", "HF_TOKEN")
_UNKNOWN = ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE")
_installed: "LoopbackHub | None" = None

BEFORE: dict[str, str] = {}
"""What the environment said of a hub before `install()`."""


def install() -> "LoopbackHub":
    """Start the hub of this process and point the environment at it."""
    global _installed  # noqa: PLW0603 - the environment is global too
    if _installed is None:
        BEFORE.update({name: os.environ[name] for name in USED if name in os.environ})
        _installed = LoopbackHub()
        home = tempfile.TemporaryDirectory(prefix="hub-home-")
        atexit.register(home.cleanup)
        atexit.register(_installed.close)
        os.environ.update(_installed.environment(Path(home.name)))
        for name in _UNKNOWN:
            os.environ.pop(name, None)
    return _installed


class LoopbackHub:
    """The server, what it holds, what it was asked, and what shall go wrong.

    Lists come in pages of `page` entries, LFS uploads in parts of `part` bytes.
    """

    def __init__(self) -> None:
        self._server = Server(self._answer, self._meet)
        self.port = self._server.server_address[1]
        self.clear()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def storage(self) -> str:
        """The same server as another origin."""
        return f"http://localhost:{self.port}"

    def environment(self, home: Path, *, xet: bool = False) -> dict[str, str]:
        """Variables that make a client in any process use this hub, and not wait for long.

        Xet does not compress, as this hub must read what it is sent.
        """
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            **READABLE,
            "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "2",
            "HF_XET_CLIENT_RETRY_BASE_DELAY": "100ms",
            "HF_XET_CLIENT_RETRY_MAX_DURATION": "3s",
        }

    def clear(self) -> None:
        """Forget everything."""
        self.repositories = Repositories()
        self.xet = Xet()
        self.parts: dict[tuple[str, int], bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.before_commit: Callable[[], None] | None = None
        self.page = PAGE
        self.part = 1 << 30

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def make(self, name: str, *, private: bool = False, gated: bool | str = False) -> Repository:
        """Make a repository directly."""
        return self.repositories.make(name, private=private, gated=gated)

    def __getitem__(self, name: str) -> Repository:
        return self.repositories.by_name[name]

    def asked(self, method: str, pattern: str) -> int:
        """How many requests matched."""
        return sum(
            verb in method.split() and bool(re.search(pattern, path))
            for verb, path in self.requests
        )

    def _meet(self, method: str, path: str) -> Fault | None:
        """Note a request, and find what shall go wrong with it."""
        self.requests.append((method, path))
        return next((fault for fault in self.faults if fault.strikes(method, path)), None)

    def _answer(self, request: Request) -> Reply:
        if "/commit/" in request.path or request.path.endswith("/merge"):
            self._run_hook()
        with self.repositories.lock:
            return self._route(request)

    def _run_hook(self) -> None:
        hook, self.before_commit = self.before_commit, None
        if hook:
            hook()

    def _route(self, request: Request) -> Reply:
        reply = loopback_xet.ROUTES.answer(self, request)
        if reply is not None:
            return reply
        account(request.token)
        for routes in _ROUTES:
            reply = routes.answer(self, request)
            if reply is not None:
                return reply
        raise Refused(404, None, f"no route for {request.method} {request.path}")
