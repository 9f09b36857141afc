"""Pages: whether there is another one, and how to ask for it."""

import shlex
import sys
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")

MOST = 1000
"""The longest page; of one that is full it is not known whether it is the last."""


def one_more(limit: int) -> int:
    """How many to ask for to learn whether there are more than `limit`."""
    return min(limit + 1, MOST)


def split(found: Sequence[Item], limit: int) -> tuple[Sequence[Item], bool]:
    """The page out of what `one_more` gave, and whether there is, or may be, another."""
    return found[:limit], len(found) > limit or len(found) == MOST


def next_page(before: object) -> str:
    """The line below a page: this command again, filters and all, from `before` on."""
    words: list[str] = []
    given = iter(sys.argv[1:])
    for word in given:
        if word == "--before":
            next(given, None)
        elif not word.startswith("--before="):
            words.append(word)
    at = words.index("--") if "--" in words else len(words)
    words[at:at] = ["--before", str(before)]
    return f"more: weightpatch {shlex.join(words)}"
