"""No answer of the Hub without end: what is read whole is counted as it is unpacked.

A few kilobytes can be packed so that they unpack to gigabytes. The bytes of files are not meant:
they are written to disk as they come, and counted there.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx2

from .....patches.errors import LimitExceeded
from .errors import NO_HUB
from .tokens import is_ours

if TYPE_CHECKING:
    from httpx2 import Response

LARGEST = 64 << 20
"""Bytes of the longest answer, unpacked; the longest that makes sense is a proposal's page."""
LARGEST_FAILURE = 1 << 20
"""Bytes of the longest answer that says that something cannot be had, or is elsewhere."""


def bound(response: "Response") -> None:
    """Let the reading of an answer end with LimitExceeded if it is too long."""
    request = response.request
    is_file = request.method == "GET" and "/api/" not in request.url.path
    if not is_ours(request) or (is_file and response.is_success):
        return
    whole = httpx2.Response(
        response.status_code,
        headers=response.headers,
        stream=response.stream,
        request=request,
    )
    response.stream = _Bounded(whole, LARGEST if response.is_success else LARGEST_FAILURE)
    response.headers.pop("Content-Encoding", None)


class _Bounded(httpx2.SyncByteStream):
    """An answer as it was before it was packed, block by block, and not too many of them."""

    def __init__(self, whole: "Response", limit: int) -> None:
        self._whole = whole
        self._limit = limit

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for block in self._whole.iter_bytes():
            size += len(block)
            if size > self._limit:
                raise LimitExceeded(
                    f"the Hub gives an answer of more than {self._limit} bytes",
                    why=f"it was asked for {self._whole.request.url.path}",
                    hint=NO_HUB,
                )
            yield block

    def close(self) -> None:
        self._whole.close()
