"""Each patch with each other in numbers, as `check --matrix` shows it."""

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from .output import Output

if TYPE_CHECKING:
    from ..patches.conflicts.blocks import Single
    from ..patches.conflicts.matrix import Pair

    Squares = dict[str, Single]

FEW = 12
"""So many patches fit a screen as a square."""

PAIRS = 20
"""Lines of a table of pairs."""

MAX_SQUARE, MAX_PAIRS = 100, 10_000
"""Patches whose squares, and pairs that, a JSON document holds."""


def overview(output: Output, labels: Sequence[str], found: "Squares") -> None:
    """For people: squares of a few patches, or the worst pairs of many; low-rank deltas only."""
    from ..patches.conflicts.matrix import worst_pairs

    squares = {name: square.tolist() for name, square in found.items()}
    if not any(map(_known, squares.values())):
        output.line("no numbers: no tensor has low-rank deltas of two of them to compare")
        return
    if len(labels) > FEW:
        _show_pairs(output, worst_pairs(found, PAIRS), labels)
        return
    for name, square in squares.items():
        if _known(square):
            output.line()
            numbers = [str(number) for number in range(1, len(labels) + 1)]
            rows = [
                [f"{number} {label}", *_cells(row, place)]
                for place, (number, label, row) in enumerate(
                    zip(numbers, labels, square, strict=True)
                )
            ]
            output.table([name, *numbers], rows)


def overview_json(labels: Sequence[str], found: "Squares") -> dict[str, Any]:
    """The squares, if there are no more than MAX_SQUARE patches, and the worst pairs."""
    from ..patches.conflicts.matrix import worst_pairs

    pairs = [
        {"patches": [labels[pair.one], labels[pair.other]], **pair.numbers}
        for pair in worst_pairs(found, MAX_PAIRS)
    ]
    if len(labels) > MAX_SQUARE:
        return {"pairs": pairs}
    squares = {name: [_plain(row) for row in square.tolist()] for name, square in found.items()}
    return {"matrix": {"patches": labels, **squares}, "pairs": pairs}


def _show_pairs(output: Output, pairs: "Sequence[Pair]", labels: Sequence[str]) -> None:
    if not pairs:
        output.line("no two of them have more than noise to do with each other")
        return
    names = list(dict.fromkeys(name for pair in pairs for name in pair.numbers))
    output.table(
        ["the worst pairs", *names],
        [
            [
                f"{labels[pair.one]} + {labels[pair.other]}",
                *(pair.numbers.get(name) for name in names),
            ]
            for pair in pairs
        ],
    )


def _known(square: Sequence[Sequence[float]]) -> bool:
    return not all(isnan(value) for row in square for value in row)


def _cells(row: Sequence[float], diagonal: int) -> list[str]:
    """A row of a square, `-` for what was not measured."""
    cells = ["-" if isnan(value) else f"{value:.2f}" for value in row]
    cells[diagonal] = "·"
    return cells


def _plain(row: Sequence[float]) -> list[float | None]:
    return [None if isnan(value) else value for value in row]
