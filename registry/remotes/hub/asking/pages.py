"""A list that the Hub gives page by page: no page without end, and no pages without end."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from .....patches.errors import LimitExceeded
from .....patches.progress import Progress, silent
from ...errors import RemoteUnreachable
from .client import client
from .errors import NO_HUB
from .retrying import repeating

if TYPE_CHECKING:
    import httpx2

MAX_PAGES = 20
MAX_PAGE_BYTES = 1 << 26

Query = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Page:
    """One page of a list, and whether it is the last."""

    records: Sequence[object]
    is_last: bool


def pages(path: str, query: Query, what: str, *, progress: Progress = silent) -> Iterator[Page]:
    """Give the pages of a list, `MAX_PAGES` at most.

    Every page is asked for where the first was, whatever place the Hub says that the next is in: a
    token goes nowhere else. Raises RemoteError, and LimitExceeded for a page that does not end.
    """
    address = f"{client().endpoint}{path}"
    following: Query | httpx2.QueryParams | None = query
    for _ in range(MAX_PAGES):
        if following is None:
            return
        ask = partial(_read, address, following)
        records, following = repeating(ask, what, progress=progress)
        yield Page(records, is_last=following is None)


def _read(
    address: str, query: "Query | httpx2.QueryParams"
) -> "tuple[list[object], httpx2.QueryParams | None]":
    """One page, and the query for the next."""
    import httpx2
    from huggingface_hub import get_session
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        hf_raise_for_status,
    )

    headers = build_hf_headers(library_name="weightpatch")
    with get_session().stream("GET", address, params=query, headers=headers) as response:
        if response.is_error:
            response.read()
        hf_raise_for_status(response)
        data = _limited(response)
        link = response.links.get("next", {}).get("url")
    records = json.loads(data)
    if not isinstance(records, list):
        raise RemoteUnreachable("the Hub's list of models is none", hint=NO_HUB)
    return records, httpx2.URL(link).params if link else None


def _limited(response: "httpx2.Response") -> bytes:
    data = bytearray()
    for block in response.iter_bytes():
        data += block
        if len(data) > MAX_PAGE_BYTES:
            raise LimitExceeded(
                f"the Hub's list of models has a page of more than {MAX_PAGE_BYTES} bytes",
                hint=NO_HUB,
            )
    return bytes(data)
