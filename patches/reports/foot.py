"""The foot of a picture: what its marks and short names mean, and what makes versions differ."""

import textwrap
from dataclasses import dataclass

from .comparison import Comparison
from .sheet import GREY, MARGIN, Sheet, plain
from .texts import BEFORE

_POINTS = 7.5
_LETTER = 0.066
_LINE = 0.16
_GAP = 0.06
_LONGEST = 300
_KEYS = {
    "rome.es": "ES: new answer likelier than the old one",
    "rome.ps": "PS: new answer likelier than the old one, on paraphrases",
    "rome.ns": "NS: true answer likelier than the new one, on neighbouring prompts",
    "rome.score": "S: harmonic mean of ES, PS and NS",
}


@dataclass(frozen=True)
class Foot:
    """Lines for the bottom of a sheet; `marked` if the first explains the mark on the bars."""

    lines: tuple[str, ...]
    marked: bool

    @classmethod
    def of(cls, comparison: Comparison, width: float) -> "Foot":
        """What there is to say of a comparison, on a sheet so many inches wide."""
        base = f"on {plain(comparison.base, 60)}" if comparison.base else ""
        marked = bool(comparison.columns)
        shown = {column.measure for column in comparison.columns}
        texts = [
            " ".join(filter(None, (BEFORE if marked else "", base))),
            "; ".join(text for measure, text in _KEYS.items() if measure in shown),
            *(f"Warning: {plain(warning, _LONGEST)}" for warning in comparison.warnings),
        ]
        room = max(20, int((width - 3 * MARGIN) / _LETTER))
        lines = (line for text in texts for line in _wrapped(text, room))
        return cls(tuple(lines), marked)

    @property
    def height(self) -> float:
        """Inches that the lines take."""
        return _GAP + _LINE * len(self.lines)

    def draw(self, sheet: Sheet) -> None:
        """Write the lines above the lower margin."""
        left = MARGIN / sheet.width
        for number, line in enumerate(reversed(self.lines)):
            y = (MARGIN + number * _LINE) / sheet.height
            first = self.marked and number == len(self.lines) - 1
            if first:
                sheet.figure.text(left, y, "|", color=GREY, fontsize=10, weight="bold")
            x = left + (0.1 / sheet.width if first else 0.0)
            sheet.figure.text(x, y, line, fontsize=_POINTS)


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_on_hyphens=False)
