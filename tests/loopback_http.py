"""The loopback hub's plain HTTP: requests, replies, faults, and a server of threads."""

import json
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else None

    def json(self) -> dict:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None

    @classmethod
    def json(cls, value: object, status: int = 200, **headers: str) -> "Reply":
        kind = {"Content-Type": "application/json"}
        return cls(status, json.dumps(value).encode(), {**kind, **headers})


class Refused(Exception):
    """The request ends with this status; `code` becomes X-Error-Code."""

    def __init__(self, status: int, code: str | None, message: str, **body: str) -> None:
        super().__init__(message)
        codes = {"X-Error-Code": code} if code else {}
        headers = {**codes, "X-Error-Message": message}
        self.reply = Reply.json({"error": message, **body}, status, **headers)


@dataclass
class Fault:
    """What goes wrong with the next `times` requests that match.

    `instead` is sent without doing what was asked; `after` changes the reply to what was done.
    """

    method: str
    path: str
    instead: Reply | None = None
    after: Callable[[Reply], Reply] | None = None
    times: int = 1
    hits: int = 0

    def strikes(self, request: Request) -> bool:
        if self.hits >= self.times or request.method != self.method:
            return False
        if not re.search(self.path, request.path):
            return False
        self.hits += 1
        return True


def corrupt(reply: Reply) -> Reply:
    """The right length, with one bit flipped in the middle."""
    data = bytearray(reply.body)
    data[len(data) // 2] ^= 1
    return replace(reply, body=bytes(data))


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


class Server(ThreadingHTTPServer):
    """Listens from the start; answers once `serve_forever` runs."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(url.query)
        try:
            request = Request(self.command, unquote(url.path), query, headers, body)
            reply = self.server.answer(request)
        except Refused as refused:
            reply = refused.reply
        self._send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

    def _send(self, reply: Reply) -> None:
        if reply.cut is not None and reply.cut < 0:
            self._reset()
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: reply.cut])
        if reply.cut is not None or not reply.headers.get("Content-Length", "yes"):
            self.close_connection = True

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()
