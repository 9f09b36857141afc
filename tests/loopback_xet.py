"""The loopback hub's Xet storage: contents as terms, each a run of chunks of an uploaded xorb.

Hashes are taken as they come: what a content is called, only the client computes.
"""

import hashlib
import secrets
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from loopback_messages import Refused, Reply, Request
from loopback_routes import Routes

if TYPE_CHECKING:
    from loopback_hub import LoopbackHub

ROUTES = Routes()
CHUNK = 1 << 16
_RECORD = 48
_SHARD = b"HFRepoMetaData"
_END = b"\xff" * 32
_WITH_SHA256, _WITH_CHECKS = 1 << 30, 1 << 31
_HASH = "(?P<digest>[0-9a-f]{64})"


@dataclass(frozen=True)
class Term:
    """Chunks `first` to `end` of a xorb, and how many bytes of the content they make."""

    xorb: str
    first: int
    end: int
    size: int


@dataclass
class Xet:
    """Xorbs by hash, contents by hash, the hash of each sha256, and the tokens that are good."""

    lifetime: float = 3_600.0
    xorbs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, list[Term]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    def token(self, kind: str) -> tuple[str, int]:
        """A new token for reading or writing, and when it ends."""
        token = f"xet_{kind}_{secrets.token_hex(8)}"
        expires = time.time() + self.lifetime
        self.tokens[token] = (kind, expires)
        return token, int(expires)

    def require(self, token: str | None, kind: str) -> None:
        """Raise Refused unless a token is good for that now."""
        known, expires = self.tokens.get(token or "", ("", 0.0))
        if known not in (kind, "write") or expires < time.time():
            raise Refused(401, None, "the Xet token is unknown or has expired")

    def hash_of(self, data: bytes, sha256: str) -> str:
        """What a content is called here; one that came another way is taken in as one xorb."""
        if sha256 not in self.hashes:
            parts = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
            name = hashlib.sha256(sha256.encode()).hexdigest()
            self.xorbs[name] = b"".join(_chunk_header(part) + part for part in parts)
            self.files[name] = [Term(name, 0, len(parts), len(data))]
            self.hashes[sha256] = name
        return self.hashes[sha256]

    def content(self, name: str) -> bytes:
        """Put a content together."""
        return b"".join(b"".join(self._chunks(term)) for term in self.files[name])

    def _chunks(self, term: Term) -> Iterator[bytes]:
        xorb = self.xorbs[term.xorb]
        for start, end in chunk_spans(xorb)[term.first : term.end]:
            if xorb[start + 4]:
                raise Refused(400, None, "the client must not compress: see the environment")
            yield xorb[start + 8 : end]

    def reconstruction(self, name: str, request: Request) -> dict[str, object]:
        """The terms that cover a range of a content, and where their bytes lie."""
        terms = self.files[name]
        ends = list(accumulate(term.size for term in terms))
        first, end = request.span(ends[-1]) or (0, ends[-1])
        used = [
            (stop - term.size, term)
            for stop, term in zip(ends, terms, strict=True)
            if stop > first and stop - term.size < end
        ]
        return {
            "offset_into_first_range": first - used[0][0],
            "terms": [
                {"hash": term.xorb, "unpacked_length": term.size, "range": _chunk_range(term)}
                for _, term in used
            ],
            "fetch_info": {
                term.xorb: [
                    {
                        "range": _chunk_range(other),
                        "url": f"{request_origin(request)}/storage/xorbs/{other.xorb}",
                        "url_range": self._byte_range(other),
                    }
                    for _, other in used
                    if other.xorb == term.xorb
                ]
                for _, term in used
            },
        }

    def _byte_range(self, term: Term) -> dict[str, int]:
        spans = chunk_spans(self.xorbs[term.xorb])[term.first : term.end]
        return {"start": spans[0][0], "end": spans[-1][1] - 1}


def request_origin(request: Request) -> str:
    """Where the client found this server."""
    return f"http://{request.headers['host']}"


def chunk_spans(xorb: bytes) -> list[tuple[int, int]]:
    """Where each chunk of a xorb, with its header of eight bytes, begins and ends."""
    spans = []
    at = 0
    while at + 8 <= len(xorb) and xorb[at] == 0:
        end = at + 8 + int.from_bytes(xorb[at + 1 : at + 4], "little")
        spans.append((at, end))
        at = end
    return spans


def read_shard(data: bytes) -> Iterator[tuple[str, str | None, list[Term]]]:
    """The contents that a shard speaks of: hash, sha256 if it is given, and terms."""
    at = _RECORD if data.startswith(_SHARD) else 0
    while data[at : at + 32] != _END:
        name, flags, count = struct.unpack_from("<32sII", data, at)
        at += _RECORD
        terms = []
        for _ in range(count):
            xorb, _, size, first, end = struct.unpack_from("<32sIIII", data, at)
            terms.append(Term(_hex(xorb), first, end, size))
            at += _RECORD
        if flags & _WITH_CHECKS:
            at += _RECORD * count
        sha256 = None
        if flags & _WITH_SHA256:
            sha256 = _hex(data[at : at + 32])
            at += _RECORD
        yield _hex(name), sha256, terms


def _hex(digest: bytes) -> str:
    """A hash as Xet writes it: four numbers of eight bytes, each little-endian."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))


def _chunk_header(data: bytes) -> bytes:
    size = len(data).to_bytes(3, "little")
    return b"\0" + size + b"\0" + size


def _chunk_range(term: Term) -> dict[str, int]:
    return {"start": term.first, "end": term.end}


@ROUTES("POST", f"/v1/xorbs/default/{_HASH}")
def upload_xorb(hub: "LoopbackHub", request: Request, digest: str) -> Reply:
    hub.xet.require(request.token, "write")
    inserted = digest not in hub.xet.xorbs
    hub.xet.xorbs[digest] = request.body
    return Reply.json({"was_inserted": inserted})


@ROUTES("POST", "/v1/shards")
def upload_shard(hub: "LoopbackHub", request: Request) -> Reply:
    hub.xet.require(request.token, "write")
    for name, sha256, terms in read_shard(request.body):
        missing = [term.xorb for term in terms if term.xorb not in hub.xet.xorbs]
        if missing:
            raise Refused(400, None, f"there is no xorb {missing[0]}")
        hub.xet.files[name] = terms
        data = hub.xet.content(name)
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise Refused(400, None, "the sha256 is not that of the content")
        hub.xet.hashes[hub.repositories.keep(data).sha256] = name
    return Reply.json({"result": 1})


@ROUTES("GET", f"/v1/reconstructions/{_HASH}")
def reconstruct(hub: "LoopbackHub", request: Request, digest: str) -> Reply:
    hub.xet.require(request.token, "read")
    if digest not in hub.xet.files:
        raise Refused(404, None, "there is no such content")
    return Reply.json(hub.xet.reconstruction(digest, request))


@ROUTES("GET", f"/storage/xorbs/{_HASH}")
def load_xorb(hub: "LoopbackHub", request: Request, digest: str) -> Reply:
    return Reply.content(hub.xet.xorbs[digest], request, {})


@ROUTES("POST", r"/v2/shards|/v1/xorb-grants/.*")
@ROUTES("GET", r"/v1/chunks/.*|/v2/reconstructions/.*")
@ROUTES("POST", "/v1/telemetry")
def nothing(hub: "LoopbackHub", request: Request, **_: str) -> Reply:
    raise Refused(404, None, "this hub has nothing of the kind")
