"""A table of routes: which function answers which request of the loopback hub."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlencode

from loopback_messages import Reply, Request

if TYPE_CHECKING:
    from loopback_hub import LoopbackHub

NAME = r"(?P<name>[^/]+/[^/]+)"
MODEL = f"/api/models/{NAME}"
REVISION = "(?P<revision>[^/]+)"
PAGE = 1_000

Answer = TypeVar("Answer", bound=Callable[..., Reply])


@dataclass
class Routes:
    """Functions of (hub, request, **parts of the path), by methods and pattern."""

    table: list[tuple[frozenset[str], re.Pattern[str], Callable[..., Reply]]] = field(
        default_factory=list
    )

    def __call__(self, methods: str, pattern: str) -> Callable[[Answer], Answer]:
        """Let the function below answer requests of these methods and this path."""

        def enter(answer: Answer) -> Answer:
            self.table.append((frozenset(methods.split()), re.compile(pattern), answer))
            return answer

        return enter

    def answer(self, hub: "LoopbackHub", request: Request) -> Reply | None:
        """The reply of the function that this request is for, or None if there is none."""
        for methods, pattern, answer in self.table:
            match = pattern.fullmatch(request.raw)
            if match and request.method in methods:
                groups = {key: text and unquote(text) for key, text in match.groupdict().items()}
                return answer(hub, request, **groups)
        return None


def paged(hub: "LoopbackHub", request: Request, items: Sequence[object], size: int) -> Reply:
    """One page of a list, and a Link to the next."""
    start = int(request.one("cursor") or 0)
    end = start + size
    if end >= len(items):
        return Reply.json(items[start:end])
    kept = {key: texts for key, texts in request.query.items() if key != "cursor"}
    query = urlencode({**kept, "cursor": end}, doseq=True)
    url = f"{hub.url}{request.raw}?{query}"
    return Reply.json(items[start:end], Link=f'<{url}>; rel="next"')
