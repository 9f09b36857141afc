"""What goes wrong at the loopback hub, and for which requests; each rule counts its hits."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

from loopback_messages import Reply, Request

DOWNLOAD = r"^/storage/"
"""Where the bytes of large files come from, by LFS and by Xet."""

UPLOAD = r"^(/storage/|/v1/xorbs/)"
"""Where the bytes of large files go, by LFS (PUT) and by Xet (POST)."""


@dataclass
class Fault:
    """What goes wrong with `times` requests that match, after `skip` of them went well.

    Without `times` it goes wrong for ever, at least once.
    `instead` is sent without doing what was asked; `after` changes the reply to what was done;
    `upload_stops` resets the connection after so many bytes of the request's body.
    """

    method: str
    path: str
    instead: Reply | None = None
    after: Callable[[Reply], Reply] | None = None
    upload_stops: int | None = None
    skip: int = 0
    times: int | None = 1
    hits: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def strikes(self, method: str, path: str) -> bool:
        """Count a request, and say whether it is one of those that go wrong."""
        if method not in self.method.split() or not re.search(self.path, path):
            return False
        with self._lock:
            if self.skip > 0:
                self.skip -= 1
                return False
            if self.times is not None and self.hits >= self.times:
                return False
            self.hits += 1
            return True

    @property
    def was_hit(self) -> bool:
        """Whether it went wrong as often as it should."""
        return self.hits == (self.times or max(self.hits, 1))

    def answer(self, request: Request, answer: Callable[[Request], Reply]) -> Reply:
        """The reply to a request that goes wrong."""
        if self.instead is not None:
            return self.instead
        reply = answer(request)
        return self.after(reply) if self.after else reply


HANG_UP = Reply(cut=-1)
"""Nothing is done, and the connection is reset."""

CREATING = Reply.json(
    {"error": "Cannot create repo: another conflicting operation is in progress"}, 409
)
"""A new repository is refused because another one is being made for the same user."""


def lose_reply(reply: Reply) -> Reply:
    """What was asked is done, and the connection is reset before the reply."""
    return replace(reply, cut=-1)


def corrupt(reply: Reply) -> Reply:
    """The right length, with one bit flipped in the middle."""
    data = bytearray(reply.body)
    data[len(data) // 2] ^= 1
    return replace(reply, body=bytes(data))


def short(reply: Reply) -> Reply:
    """Half of the body, announced as all of it."""
    return replace(reply, body=reply.body[: len(reply.body) // 2])


def endless(reply: Reply) -> Reply:
    """More than was announced, and no length."""
    return replace(reply, body=reply.body * 1_000, headers={**reply.headers, "Content-Length": ""})


def slow(seconds: float) -> Callable[[Reply], Reply]:
    """The reply comes late."""

    def wait(reply: Reply) -> Reply:
        time.sleep(seconds)
        return reply

    return wait


def cut(size: int) -> Callable[[Reply], Reply]:
    """The connection ends after `size` bytes of the body, or is reset before any if negative."""
    return lambda reply: replace(reply, cut=size)


def with_headers(**headers: str) -> Callable[[Reply], Reply]:
    """The reply says something else than the truth; `_` in a name stands for `-`."""
    lies = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda reply: replace(reply, headers={**reply.headers, **lies})
