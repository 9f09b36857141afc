"""Panels of bars: one a measure, one bar a version, a grey mark where the base stood."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..evaluation.base import Mean
from .comparison import Column, Comparison
from .sheet import GREY, MARGIN, Sheet, colour, plain
from .texts import heading, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE, _TITLE, _AXIS = 0.24, 0.32, 0.42
_THICK = 0.66
_GUTTER = 0.42
_GAP = 0.3
_HIGHEST = 1e9


def bars_height(down: int, versions: int) -> float:
    """Inches that so many rows of panels take."""
    return down * (_TITLE + versions * _LINE + _AXIS)


def bar_panels(
    sheet: Sheet, comparison: Comparison, labels: Sequence[str], *, left: float, across: int
) -> None:
    """Draw a panel for each column of a comparison, `across` of them side by side."""
    width = (sheet.width - left - MARGIN) / across
    height = len(labels) * _LINE
    for at, column in enumerate(comparison.columns):
        down, right = divmod(at, across)
        top = _TITLE + bars_height(down, len(labels))
        axes = sheet.axes(left + right * width, top, width - _GAP, height)
        axes.set_title(plain(heading(column.measure), 40))
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_yticks(range(len(labels)), labels if right == 0 else [""] * len(labels))
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=8, color=GREY)
        _bars(axes, column, [row.means[at] for row in comparison.rows])


def _bars(axes: "Axes", column: Column, means: Sequence[Mean | None]) -> None:
    low, high = _range(column, means)
    right = high + _GUTTER * (high - low)
    axes.set_xlim(low, right)
    if column.unit or (low, high) not in ((0.0, 1.0), (-1.0, 1.0)):
        axes.locator_params(axis="x", nbins=3)
        axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= high])
    else:
        ticks = [low, 0.0, 1.0] if low else [0.0, 0.5, 1.0]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.spines["bottom"].set_bounds(low, high)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=GREY, linewidth=0.8)
    for at, mean in enumerate(means):
        text = number(None if mean is None else mean.after, column.unit)
        axes.text(right, at, text, va="center", ha="right", fontsize=8)
        if mean is not None:
            axes.barh(at, _bounded(mean.after), height=_THICK, color=colour(at))
            if mean.before is not None:
                axes.vlines(
                    _bounded(mean.before), at - 0.42, at + 0.42, color=GREY, linewidth=2, zorder=3
                )


def _range(column: Column, means: Sequence[Mean | None]) -> tuple[float, float]:
    """From where to where a panel reaches: 0 to 1 for shares, else as far as the bars."""
    found = [value for mean in means if mean for value in mean[:2] if value is not None]
    known = [_bounded(value) for value in found]
    low, high = min(0.0, *known, 0.0), max(0.0, *known, 0.0)
    if not column.unit and low >= -1 and high <= 1:
        return (-1.0 if low < 0 else 0.0), 1.0
    return low, high if high > low else 1.0


def _bounded(value: float) -> float:
    return max(-_HIGHEST, min(value, _HIGHEST))
