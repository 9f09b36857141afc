"""The sheet that panels are placed on by hand, in inches from its top left corner."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..format.markdown import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 160
MARGIN = 0.15
LEAST_WIDTH = 7.5
GREY, INK = "#8A8A8A", "#222222"
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C00", "#5E3C99")
"""Colours that also people with a colour vision deficiency tell apart (after Okabe and Ito)."""


@dataclass(frozen=True)
class Sheet:
    """A figure, its size, and how far down it is taken already."""

    figure: "Figure"
    width: float
    height: float
    taken: float = MARGIN

    @classmethod
    def blank(cls, width: float, height: float) -> "Sheet":
        """A white sheet."""
        from matplotlib.figure import Figure

        return cls(Figure(figsize=(width, height), dpi=DPI), width, height)

    def below(self, height: float) -> "Sheet":
        """The same sheet, taken further down."""
        return Sheet(self.figure, self.width, self.height, self.taken + height)

    def axes(self, left: float, top: float, width: float, height: float) -> "Axes":
        """Axes at a place; `top` counts from what is taken."""
        bottom = self.height - self.taken - top - height
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )


def width_of(text: str, points: float = 9.0) -> float:
    """Inches that a text takes, kerning left aside."""
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, size=points).get_extents().width) / 72


def colour(number: int) -> str:
    """The colour of the version with this number, from 0."""
    return PALETTE[number % len(PALETTE)]


def plain(text: str, longest: int) -> str:
    """Text that the font has letters for, cut in its middle."""
    shown = visible(text).encode("ascii", errors="backslashreplace").decode()
    if len(shown) <= longest:
        return shown
    tail = longest // 2
    return f"{shown[: longest - tail - 1]}…{shown[-tail:]}"
