"""The columns of a progress bar: counts as they are, bytes as a person reads them."""

import re
from datetime import timedelta

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from .texts import size

_IN_BYTES = re.compile("(download|upload|push|propose|pull|check) ")
"""How the phases begin that tell bytes of a file."""


def columns() -> tuple[ProgressColumn, ...]:
    """The columns, from left to right; where all is too wide, the words are wrapped."""
    words = TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold"))
    return words, BarColumn(20), _Amount(Column(no_wrap=True)), _Time(Column(no_wrap=True))


class _Amount(ProgressColumn):
    """How much is done, and of how much: `3/7`, or `1.2 MB/2.5 GB`."""

    def render(self, task: Task) -> Text:
        """Draw; nothing for what has no known end and has not begun."""
        if task.total is None and not task.completed:
            return Text()
        shown = size if _IN_BYTES.match(task.description) else str
        total = "?" if task.total is None else shown(int(task.total))
        return Text(f"{shown(int(task.completed))}/{total}", style="progress.download")


class _Time(TimeElapsedColumn):
    """How long it has taken; of a transfer, how long it will take."""

    def render(self, task: Task) -> Text:
        """Draw."""
        left = task.time_remaining
        if not left or not _IN_BYTES.match(task.description):
            return super().render(task)
        return Text(f"{timedelta(seconds=int(left))} left", style="progress.remaining")
