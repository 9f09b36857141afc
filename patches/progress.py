"""How long work tells that it goes on; the command line draws it, a library call need not."""

from typing import Protocol


class Progress(Protocol):
    """Called as work goes on: what is being done, how much of it is done, and of how much."""

    def __call__(self, phase: str, done: int, total: int | None, /) -> None:
        """Tell; it must return soon. Without `total` the end is not known; 0 of 0 is over."""


def silent(_phase: str, _done: int, _total: int | None) -> None:
    """Tell nobody."""


def numbered(progress: Progress, number: int, count: int) -> Progress:
    """Progress on the `number`-th of `count` things, which each phase then names."""
    if count == 1:
        return progress
    return lambda phase, done, total: progress(f"{phase} {number} of {count}", done, total)
