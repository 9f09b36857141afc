"""The loopback hub's server of threads, which can break off wherever a fault says so."""

import socket
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from loopback_faults import Fault
from loopback_messages import Refused, Reply, Request


class Server(ThreadingHTTPServer):
    """Listens from the start; answers once `serve_forever` runs."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, answer: Callable[[Request], Reply], fault: Callable[[str, str], Fault | None]
    ) -> None:
        self.answer = answer
        self.fault = fault
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
        url = urlsplit(self.path)
        fault = self.server.fault(self.command, unquote(url.path))
        if fault and fault.upload_stops is not None:
            self.rfile.read(fault.upload_stops)
            self._reset()
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(url.query, keep_blank_values=True)
        request = Request(self.command, url.path, unquote(url.path), query, headers, self._body())
        self._send(fault.answer(request, self._reply) if fault else self._reply(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

    def _reply(self, request: Request) -> Reply:
        try:
            return self.server.answer(request)
        except Refused as refused:
            return refused.reply

    def _body(self) -> bytes:
        """All of it, before anything is answered: what is left unread would pass for a request."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

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
