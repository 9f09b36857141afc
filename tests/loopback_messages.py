"""The loopback hub's requests and replies, and the refusal that ends a request early."""

import json
import re
from dataclasses import dataclass, field, replace

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Request:
    """What was asked; `path` is decoded for reading, `raw` is as it was sent, for routing."""

    method: str
    raw: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str | None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else None

    def flag(self, name: str) -> bool:
        """Whether a switch of the query is on."""
        return self.query.get(name, ["false"])[-1].lower() in ("1", "true")

    def one(self, name: str) -> str | None:
        return self.query.get(name, [None])[-1]

    def json(self) -> dict:
        return json.loads(self.body or b"{}")

    def span(self, size: int) -> tuple[int, int] | None:
        """The first byte asked for and the one after the last; None if there is no Range."""
        match = _RANGE.fullmatch(self.headers.get("range", ""))
        if match is None:
            return None
        first = int(match[1])
        if first >= size:
            raise Refused(416, None, "Range Not Satisfiable")
        return first, min(int(match[2]) + 1, size) if match[2] else size


@dataclass(frozen=True)
class Reply:
    """What is sent back; with `cut` only so many bytes of it, or none and a reset if negative."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None

    @classmethod
    def json(cls, value: object, status: int = 200, **headers: str) -> "Reply":
        kind = {"Content-Type": "application/json"}
        return cls(status, json.dumps(value).encode(), {**kind, **headers})

    @classmethod
    def content(cls, data: bytes, request: Request, headers: dict[str, str]) -> "Reply":
        """All of `data`, or the part that the request's Range asks for."""
        span = request.span(len(data))
        whole = cls(200, data, {"Accept-Ranges": "bytes", **headers})
        if span is None:
            return whole
        first, end = span
        where = {"Content-Range": f"bytes {first}-{end - 1}/{len(data)}"}
        return replace(whole, status=206, body=data[first:end], headers={**whole.headers, **where})


class Refused(Exception):
    """The request ends with this status; `code` becomes X-Error-Code."""

    def __init__(self, status: int, code: str | None, message: str, **body: object) -> None:
        super().__init__(message)
        codes = {"X-Error-Code": code} if code else {}
        headers = {**codes, "X-Error-Message": message}
        self.reply = Reply.json({"error": message, **body}, status, **headers)
