"""A progress bar on stderr, and only where that is a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import click

from ..patches.progress import Progress, silent
from .errors import printable

if TYPE_CHECKING:
    from rich.console import Console

_DRAWN_ON: ContextVar["Console | None"] = ContextVar("drawn_on", default=None)
"""Where bars are being drawn, if they are."""


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress]:
    """Give a callback that draws; one bar a phase."""
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Bars(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        tasks: dict[str, object] = {}

        def show(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)  # type: ignore[arg-type]

        before = _DRAWN_ON.set(console)
        try:
            yield show
        finally:
            _DRAWN_ON.reset(before)


def remark(text: str) -> None:
    """A line on stderr; above the bars, where some are being drawn."""
    console = _DRAWN_ON.get()
    if console is None:
        click.echo(printable(text), err=True)
    else:
        console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
