"""How tensors and what was done to them stand in a table, or in lines where it is too wide."""

import re
import shutil
import sys
from collections.abc import Collection, Sequence

from .errors import printable
from .output import GAP, NARROW, Output

Row = Sequence[str | None]

LEAST = 24
"""A name is not shortened below this."""

_NEW_VALUES = frozenset({"replace", "widen"})

_UNITS = {
    "lowrank": ("rank {}", "rank {}"),
    "sparse": ("{} entry", "{} entries"),
    "dense": ("{} entry", "{} entries"),
    "replace": ("{} value", "{} values"),
    "widen": ("{} neuron", "{} neurons"),
    "zeros": ("{} neuron", "{} neurons"),
}


def tensor_table(output: Output, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """A table with a column `tensor`, whose names lose their beginning in a narrow terminal.

    Names are never cut so far that two of them look alike, and not at all in a file or a pipe.
    Where the terminal is still too narrow, each stands on a line of its own above its rows.
    """
    place = columns.index("tensor")
    if not fits(columns, rows):
        room = shutil.get_terminal_size().columns - _width(columns, rows) + _widest(rows, place)
        short = _with_short_names(rows, place, room)
        if not fits(columns, short):
            _stacked(output, columns, rows, place)
            return
        rows = short
    output.table(columns, rows)


def fits(columns: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether a table fits the terminal, its last column wrapped; any fits a file or a pipe."""
    if not sys.stdout.isatty():
        return True
    wrapped = max(0, _widest(rows, len(columns) - 1) - NARROW)
    return _width(columns, rows) - wrapped <= shutil.get_terminal_size().columns


def shortened(names: Collection[str], room: int) -> dict[str, str]:
    """What to show for each name in `room` characters, or in as many more as tell them apart."""
    longest = max(map(len, names), default=0)
    for length in range(max(room, LEAST), longest):
        found = {name: _without_head(name, length) for name in names}
        if len(set(found.values())) == len(names):
            return found
    return {name: name for name in names}


def operation(kind: str, size: int) -> str:
    """An operation with its size in its own unit: `lowrank rank 2`, `sparse 12 entries`."""
    one, many = _UNITS.get(kind, ("{}", "{}"))
    return f"{kind} {(one if size == 1 else many).format(size)}"


def norms(kind: str, own: float, relative: float) -> list[str | None]:
    """Norm of what an operation adds, and the same relative to the weight's.

    None for new values: theirs say nothing of how much changes.
    """
    return [None, None] if kind in _NEW_VALUES else [norm(own), percentage(relative)]


def natural(name: str) -> list[str | int]:
    """A key to sort names by, in which layer 2 comes before layer 10."""
    parts = re.split("([0-9]+)", name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def norm(value: float) -> str:
    """A norm, four digits of it however small it is."""
    return f"{value:.4g}"


def percentage(value: float) -> str:
    """A ratio as a percentage, four digits of it however small it is."""
    return f"{100 * value:.4g}%"


def _with_short_names(rows: Sequence[Row], place: int, room: int) -> Sequence[Row]:
    short = shortened({printable(str(row[place])) for row in rows}, room)
    return [[*row[:place], short[printable(str(row[place]))], *row[place + 1 :]] for row in rows]


def _stacked(output: Output, columns: Sequence[str], rows: Sequence[Row], place: int) -> None:
    """Each name once, and below it what stands in the other columns."""
    rows = _with_short_names(rows, place, shutil.get_terminal_size().columns)
    others = [index for index in range(len(columns)) if index != place]
    widths = {index: max(len(columns[index]), _widest(rows, index)) for index in others}

    def show(cells: Row) -> None:
        texts = ["-" if cells[index] is None else str(cells[index]) for index in others]
        padded = [
            printable(text).ljust(widths[index]) for index, text in zip(others, texts, strict=True)
        ]
        output.line(f"  {(' ' * GAP).join(padded)}".rstrip())

    show(columns)
    above = None
    for row in rows:
        if row[place] != above:
            above = row[place]
            output.line(str(above).replace("\n", " "))
        show(row)


def _without_head(name: str, length: int) -> str:
    """The end says which layer and which of its matrices it is; all of a model begin alike."""
    return name if len(name) <= length else f"…{name[1 - length :]}"


def _width(columns: Sequence[str], rows: Sequence[Row]) -> int:
    """Characters that a line of the table takes."""
    widths = [max(len(name), _widest(rows, index)) for index, name in enumerate(columns)]
    return sum(widths) + GAP * (len(columns) - 1)


def _widest(rows: Sequence[Row], index: int) -> int:
    return max((len(printable(row[index] or "-")) for row in rows), default=0)
