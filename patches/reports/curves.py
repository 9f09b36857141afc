"""Panels of curves: what is retained of the edits of a sequence as more of them follow."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .comparison import RETENTION, Comparison, Point
from .sheet import GREY, MARGIN, Sheet, colour, plain, width_of
from .texts import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curves = Mapping[str, Sequence[Sequence[Point]]]

_PANELS = 3
_TITLE, _PLOT, _AXIS, _LINE = 0.32, 1.9, 0.62, 0.19
_SCALE = 0.5
_HANDLE = 0.8
_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = "os^Dv"
_AGAIN = 8


def curves_of(comparison: Comparison) -> Curves:
    """By measure, the points of each version: of exact matches, else of what there is."""
    names = dict.fromkeys(name for row in comparison.rows for name in row.subject.retention)
    exact = [name for name in names if name.endswith(".exact-match")]
    return {
        name: [row.subject.retention.get(name, ()) for row in comparison.rows]
        for name in (exact or list(names))[:_PANELS]
    }


def curves_height(curves: Curves, versions: int, width: float) -> float:
    """Inches that panels and legend take; `width` is that of the sheet."""
    if not curves:
        return 0.0
    return _TITLE + _PLOT + _AXIS + _LINE * -(-versions // _columns(width))


def curve_panels(sheet: Sheet, curves: Curves, labels: Sequence[str]) -> None:
    """Draw a panel for each measure, and one legend for all."""
    width = (sheet.width - 2 * MARGIN) / len(curves)
    panels = []
    for at, (measure, found) in enumerate(curves.items()):
        axes = sheet.axes(MARGIN + at * width + _SCALE, _TITLE, width - _SCALE - MARGIN, _PLOT)
        axes.set_title(plain(heading(measure).removeprefix(f"{RETENTION}."), 40) + " retained")
        axes.set_xlabel("edits carried out", fontsize=8)
        axes.set_ylim(-0.03, 1.05)
        axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
        axes.tick_params(labelsize=8, color=GREY)
        _ticks(axes, sorted({point.edits for points in found for point in points}))
        for number, points in enumerate(found):
            _curve(axes, number, points, labels[number])
        panels.append(axes)
    _legend(sheet, panels, labels)


def _legend(sheet: Sheet, panels: "Sequence[Axes]", labels: Sequence[str]) -> None:
    lines = {str(line.get_label()): line for axes in panels for line in axes.get_lines()}
    shown = [label for label in labels if label in lines]
    top = sheet.height - sheet.taken - _TITLE - _PLOT - _AXIS
    sheet.figure.legend(
        [lines[label] for label in shown],
        shown,
        loc="upper left",
        bbox_to_anchor=(MARGIN / sheet.width, top / sheet.height),
        borderaxespad=0,
        ncols=_columns(sheet.width),
        frameon=False,
        fontsize=8,
        labelspacing=0.3,
    )


def _columns(width: float) -> int:
    """Columns of a legend; a version's name is rarely longer than half of the narrowest sheet."""
    return max(1, int((width - 2 * MARGIN) // (width_of("m" * 24, 8.0) + _HANDLE)))


def _curve(axes: "Axes", number: int, points: Sequence[Point], label: str) -> None:
    if not points:
        return
    again = number // _AGAIN
    axes.plot(
        [point.edits for point in points],
        [point.after for point in points],
        color=colour(number),
        linestyle=_DASHES[again % len(_DASHES)],
        marker=_MARKERS[again % len(_MARKERS)],
        markersize=4,
        linewidth=1.6,
        label=label,
    )


def _ticks(axes: "Axes", counts: Sequence[int]) -> None:
    """Ticks where something was measured; by powers where the counts span many."""
    if not counts:
        return
    if counts[-1] >= 20 * counts[0]:
        axes.set_xscale("log")
        axes.minorticks_off()
    step = -(-len(counts) // 8)
    shown = [*counts[:-1][::step], counts[-1]]
    axes.set_xticks(shown, [str(count) for count in shown])
