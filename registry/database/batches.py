"""Lists of a size that one statement or one transaction takes."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

SIZE = 500

_T = TypeVar("_T")


def chunks(items: Iterable[_T], size: int | None = None) -> Iterator[list[_T]]:
    """The items in lists of at most `size`, or SIZE."""
    rest = iter(items)
    while part := list(islice(rest, size or SIZE)):
        yield part
