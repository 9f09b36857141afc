"""Data to stdout, as tables for people or one JSON document for programs; all else to stderr."""

import json
import shutil
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import click

from .errors import printable
from .progress import remark

WIDE = 1000
"""Columns of a table that goes into a file or a pipe, where nothing has to fit a screen."""


GAP = 3
NARROW = 24
"""The last column, which is wrapped, is never narrower than this."""
SLIM = 12
"""Nor are the other columns that may be wrapped than this."""
TENSORS = 10
"""Lines for people about single tensors; a program gets all of them."""


class Output:
    """Where a command's results go; `as_json` decides their form."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def data(self, kind: str, value: Mapping[str, Any]) -> None:
        """One JSON document, if JSON was asked for; `kind` names its form."""
        if self.as_json:
            document = {"schema": f"weightpatch.{kind}/1", **value}
            click.echo(_harmless(json.dumps(document, ensure_ascii=False, indent=2)))

    def line(self, text: str = "") -> None:
        """A line for people."""
        if not self.as_json:
            click.echo(printable(text))

    def lines(self, texts: Sequence[str], most: int, rest: str) -> None:
        """The first `most` of some lines, then `rest`, in which {} is how many are left out."""
        for text in texts[:most]:
            self.line(text.replace("\n", " "))
        if len(texts) > most:
            self.line(rest.format(len(texts) - most))

    def changes(self, digests: Iterable[tuple[str, str, str]]) -> None:
        """A few tensors, each with its digest before and after, and how many more there are."""
        lines = [f"{name}  {old[:12]}… → {new[:12]}…" for name, old, new in digests]
        rest = "… and 1 more tensor" if len(lines) == TENSORS + 1 else "… and {} more tensors"
        self.lines(lines, TENSORS, rest)

    def note(self, text: str) -> None:
        """A remark for people, on stderr, that leaves a progress bar as it is."""
        if not self.as_json:
            remark(text)

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        wrapped: Collection[str] = (),
    ) -> None:
        """A table for people; numbers stand to the right.

        Only the last column is wrapped, and those `wrapped` names if it still is too wide.
        """
        if self.as_json or not rows:
            return
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for index, column in enumerate(columns):
            values = [row[index] for row in rows if row[index] is not None]
            numbers = bool(values) and all(isinstance(value, int | float) for value in values)
            last = index == len(columns) - 1
            table.add_column(
                column,
                justify="right" if numbers else "left",
                no_wrap=not (last or column in wrapped),
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(printable(_cell(value).replace("\n", " "))) for value in row))
        width = max(columns_of_screen(), _least_width(columns, rows, wrapped))
        Console(file=sys.stdout, width=width, highlight=False).print(table)

    def fields(self, pairs: Sequence[tuple[str, object]]) -> None:
        """Names and values, one a line, values aligned; empty ones left out."""
        shown = [(name, value) for name, value in pairs if value not in (None, "", ())]
        indent = max((len(name) for name, _ in shown), default=0) + 2
        for name, value in shown:
            lines = _cell(value).split("\n")
            self.line(f"{name:<{indent}}" + f"\n{'':<{indent}}".join(lines))


def columns_of_screen() -> int:
    """How wide a table may be."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE


def fits_unwrapped(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Whether a table goes on the screen with nothing wrapped."""
    widest = [
        max(len(column), *(len(_cell(row[index])) for row in rows), 0)
        for index, column in enumerate(columns)
    ]
    return sum(widest) + GAP * (len(columns) - 1) <= columns_of_screen()


def _least_width(
    columns: Sequence[str], rows: Sequence[Sequence[object]], wrapped: Collection[str]
) -> int:
    """Columns that a table needs so that no identifier is cut; those that wrap may be narrow."""
    widest = [
        max(len(column), *(len(_cell(row[index])) for row in rows))
        for index, column in enumerate(columns)
    ]
    least = [
        min(wide, max(SLIM, len(column))) if column in wrapped else wide
        for column, wide in zip(columns, widest, strict=True)
    ]
    last = SLIM if wrapped else NARROW
    return sum(least[:-1]) + GAP * (len(columns) - 1) + min(widest[-1], last)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _harmless(document: str) -> str:
    """A JSON document in which a terminal finds no command: each is escaped within its text."""
    return "".join(
        character if character.isprintable() or character == "\n" else _escaped(character)
        for character in document
    )


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
