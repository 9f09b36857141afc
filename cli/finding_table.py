"""What was found between patches as people read it: one row for all tensors of which it is said."""

import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import printable
from .output import GAP, Output, columns_of_screen
from .tensor_table import fits
from .texts import counted

if TYPE_CHECKING:
    from ..patches.conflicts.findings import Finding

Row = Sequence[str]

COLUMNS = ("", "level", "between", "where", "finding")


def finding_rows(findings: "Sequence[Finding]") -> list[Row]:
    """A row for each finding, but of the weights one for all tensors of a pair and a severity.

    Of measured ones it has the numbers of the worst tensor; other sentences stand by themselves.
    """
    from ..patches.conflicts.findings import WEIGHTS

    alike: dict[object, list[Finding]] = {}
    for number, found in enumerate(findings):
        kind = "" if found.numbers else found.sentence
        key = (found.severity, found.patches, kind) if found.level == WEIGHTS else number
        alike.setdefault(key, []).append(found)
    return [_row(group) for group in alike.values()]


def finding_table(output: Output, rows: Sequence[Row]) -> None:
    """Show these rows: a table, or below each other what is too wide for the terminal.

    In a file or a pipe each row is a line, not padded to the longest sentence.
    """
    clean = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    if not sys.stdout.isatty():
        _in_lines(output, clean)
    elif fits(COLUMNS, clean):
        output.table(COLUMNS, clean)
    else:
        _stacked(output, clean)


def _row(group: "Sequence[Finding]") -> Row:
    worst = max(group, key=_gravity)
    where = worst.where
    if len(group) > 1:
        where += f" and {counted(len(group) - 1, 'more tensor')}"
    pair = " + ".join(worst.patches)
    return [worst.severity.upper(), worst.level, pair, where, worst.sentence]


def _gravity(found: "Finding") -> tuple[float, float]:
    """Interference first: it tells best what is lost."""
    numbers = found.numbers
    others = abs(numbers.get("cosine", 0.0)), numbers.get("input_excess", 0.0)
    return numbers.get("interference", 0.0), max(others)


def _in_lines(output: Output, rows: Sequence[Row]) -> None:
    lines = [COLUMNS, *rows] if rows else []
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for *cells, last in lines:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        output.line((" " * GAP).join([*padded, last]))


def _stacked(output: Output, rows: Sequence[Row]) -> None:
    """Who and how grave in a line, and indented below it where and what."""
    width = columns_of_screen()
    for severity, level, pair, where, sentence in rows:
        for line in textwrap.wrap(f"{severity}   {level}   {pair}", width, subsequent_indent="  "):
            output.line(line)
        text = f"{where}: {sentence}"
        for line in textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  "):
            output.line(line)
