"""A progress bar on stderr, and only where that is a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import click

from ..patches.progress import Progress, silent
from .errors import printable
from .texts import shortened

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


@dataclass(frozen=True)
class _Drawing:
    """Bars that are being drawn, one a phase; transfers tell of theirs from several threads."""

    bars: "Bars"
    console: "Console"
    tasks: "dict[str, TaskID]" = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def show(self, phase: str, done: int, total: int | None) -> None:
        """Draw how far a phase is, or take its bar away if there is nothing to do."""
        with self.lock:
            if total == 0:
                if phase in self.tasks:
                    self.bars.remove_task(self.tasks.pop(phase))
                return
            if phase not in self.tasks:
                self.tasks[phase] = self.bars.add_task(shortened(printable(phase)), total=total)
            self.bars.update(self.tasks[phase], completed=done, total=total)


_DRAWN: ContextVar[_Drawing | None] = ContextVar("drawn", default=None)
"""What is being drawn, if anything is."""


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress]:
    """Give a callback that draws, one bar a phase; within another one, it draws below its bars."""
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    if outer := _DRAWN.get():
        yield outer.show
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    from .bars import columns

    console = Console(stderr=True)
    with Bars(*columns(), console=console, transient=True) as bars:
        drawing = _Drawing(bars, console)
        before = _DRAWN.set(drawing)
        try:
            yield drawing.show
        finally:
            _DRAWN.reset(before)


def remark(text: str) -> None:
    """A line on stderr; above the bars, where some are being drawn."""
    drawing = _DRAWN.get()
    if drawing is None:
        click.echo(printable(text), err=True)
    else:
        drawing.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
