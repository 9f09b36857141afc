"""A comparison for people: a table that fits the terminal, and bars."""

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..patches.reports.comparison import Comparison
from ..patches.reports.sheet import colour
from ..patches.reports.texts import (
    ARROW,
    BEFORE,
    FACTS,
    MISSING,
    facts,
    heading,
    number,
    parts,
)
from .errors import printable
from .output import WIDE, Output

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    Grid = list[list[Text]]

BAR = 32


def show_table(output: Output, comparison: Comparison) -> None:
    """Versions as rows; as columns, and some at a time, where the terminal is too narrow."""
    if output.as_json:
        return
    console = _console()
    for number_, table in enumerate(_fitting(console, _grid(comparison))):
        if number_:
            console.print()
        console.print(table)


def show_bars(output: Output, comparison: Comparison) -> None:
    """A bar a version for each measure; they reach as far as the largest value."""
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    if output.as_json:
        return
    console = _console(most=100)
    for at, column in enumerate(comparison.columns):
        means = [row.means[at] for row in comparison.rows]
        known = [mean.after for mean in means if mean is not None]
        low, high = min([0.0, *known]), max([0.0, *known])
        if not column.unit and high <= 1:
            high = 1.0
        grid = Table.grid(padding=(0, 1))
        for index, (row, mean) in enumerate(zip(comparison.rows, means, strict=True)):
            begin, end = sorted((0.0, 0.0 if mean is None else mean.after))
            bar = Bar(high - low or 1.0, begin - low, end - low, width=BAR, color=colour(index))
            value = number(None if mean is None else mean.after, column.unit)
            grid.add_row(_text(row.subject.label), bar, _text(value))
        console.print(Text(f"\n{printable(heading(column.measure))}", style="bold"))
        console.print(grid)


def _grid(comparison: Comparison) -> "Grid":
    """Header and rows of cells; a base or method that all versions have is no column."""
    from rich.text import Text

    kept = [FACTS.index(name) for name in FACTS if not _same(comparison, name)]
    header = [*(FACTS[at] for at in kept), *(heading(one.measure) for one in comparison.columns)]
    grid = [[Text(printable(name), style="bold") for name in header]]
    baseline = comparison.baseline
    if baseline is not None:
        values = map(number, baseline, (column.unit for column in comparison.columns))
        words = [BEFORE, *[""] * (len(kept) - 1), *values]
        grid.append([Text(word, style="dim") for word in words])
    for row in comparison.rows:
        known = facts(row)
        cells = [
            parts(mean, column, beside=baseline is None)
            for mean, column in zip(row.means, comparison.columns, strict=True)
        ]
        grid.append(
            [
                *(_text(known[at]) for at in kept),
                *(
                    Text.assemble((f"{old}{ARROW}" if old else "", "dim"), new)
                    for old, new in cells
                ),
            ]
        )
    return grid


def _same(comparison: Comparison, fact: str) -> bool:
    return fact == "base" and comparison.base is not None


def _fitting(console: "Console", grid: "Grid") -> "list[Table]":
    """The grid as one table; turned, and cut into several, where it does not fit."""
    whole = _table(grid)
    if _fits(console, whole):
        return [whole]
    turned = [list(line) for line in zip(*grid, strict=True)]
    tables, start, end = [], 1, 2
    while start < len(turned[0]):
        while end < len(turned[0]) and _fits(console, _table(_slice(turned, start, end + 1))):
            end += 1
        tables.append(_table(_slice(turned, start, end), turned=True))
        start, end = end, end + 1
    return tables


def _slice(grid: "Grid", start: int, end: int) -> "Grid":
    return [[line[0], *line[start:end]] for line in grid]


def _fits(console: "Console", table: "Table") -> bool:
    from rich.measure import Measurement

    wanted = Measurement.get(console, console.options.update(max_width=WIDE), table)
    return wanted.maximum <= console.width


def _table(grid: "Grid", *, turned: bool = False) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for at, name in enumerate(grid[0]):
        numbers = any(line[at].plain[-1:].isdigit() for line in grid[1:]) and all(
            _numeric(line[at].plain) for line in grid[1:]
        )
        right = numbers or (turned and at > 0)
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for line in grid[1:]:
        table.add_row(*line)
    return table


def _numeric(text: str) -> bool:
    return not text or text == MISSING or text[0].isdigit() or text[0] == "-"


def _console(most: int = WIDE) -> "Console":
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else most
    return Console(file=sys.stdout, width=width, height=100, highlight=False)


def _text(text: str) -> "Text":
    from rich.text import Text

    return Text(printable(text).replace("\n", " "))


def on_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def as_rows(comparison: Comparison) -> Sequence[dict[str, object]]:
    """The versions as plain JSON values."""
    return [
        {
            "label": row.subject.label,
            "digest": row.subject.digest,
            "method": row.subject.method,
            "base": row.subject.base,
            "requests": row.subject.requests,
            "bytes": row.subject.size,
            "asked": {suite: one.suite_digest for suite, one in row.chosen.items()},
            "scored_on": {suite: one.base for suite, one in row.chosen.items()},
            "scores": {
                column.measure: mean._asdict()
                for column, mean in zip(comparison.columns, row.means, strict=True)
                if mean is not None
            },
            "retention": {
                name: [vars(point) for point in points]
                for name, points in row.subject.retention.items()
            },
        }
        for row in comparison.rows
    ]
