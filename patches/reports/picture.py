"""A comparison as a picture: a panel of bars a measure, and curves of what is retained."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import InputError, PluginMissing
from .bars import bar_panels, bars_height
from .comparison import Comparison
from .curves import curve_panels, curves_height, curves_of
from .foot import Foot
from .sheet import GREY, INK, LEAST_WIDTH, MARGIN, Sheet, plain, width_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png")
MAX_VERSIONS = 40
MAX_PANELS = 24
_LONGEST = 44
_PANEL = 2.05
_ACROSS = 4
_STYLE: Any = {
    "svg.hashsalt": "weightpatch",
    "svg.fonttype": "path",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(comparison: Comparison, kind: str) -> bytes:
    """Draw as `svg` or `png`; the same comparison gives the same bytes.

    Bars are means after the edit, grey marks those before. Raises PluginMissing without matplotlib;
    InputError if there is nothing to draw or too much for one picture.
    """
    if kind not in FORMATS:
        raise InputError(f"a picture is {' or '.join(FORMATS)}, not {kind}")
    if not comparison.rows or not (comparison.columns or curves_of(comparison)):
        raise InputError(
            "there are no scores to draw", hint="score the versions with weightpatch eval"
        )
    if len(comparison.rows) > MAX_VERSIONS or len(comparison.columns) > MAX_PANELS:
        raise InputError(
            f"a picture has room for {MAX_VERSIONS} versions and {MAX_PANELS} measures",
            hint="name fewer of them",
        )
    with _style():
        return _saved(_figure(comparison), kind)


@contextmanager
def _style() -> Iterator[None]:
    """Our style and matplotlib's defaults, whatever the user's are; those are put back."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise PluginMissing(
            "pictures are drawn by matplotlib, which is not installed",
            hint='pip install "weightpatch[plot]"',
        ) from None
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def _saved(figure: "Figure", kind: str) -> bytes:
    metadata: dict[str, Any] = {"Software": "weightpatch"}
    if kind == "svg":
        metadata = {"Date": None, "Creator": "weightpatch", "Title": "Scores of model edits"}
    file = io.BytesIO()
    figure.savefig(file, format=kind, metadata=metadata)
    return file.getvalue()


def _figure(comparison: Comparison) -> "Figure":
    """Bars above, curves below them, and lines that explain the marks and warn.

    All is placed by hand: the solver behind matplotlib's layouts breaks ties by memory address.
    """
    labels, curves = _labels(comparison), curves_of(comparison)
    down = -(-len(comparison.columns) // _ACROSS)
    across = -(-len(comparison.columns) // down) if down else 0
    left = max(map(width_of, labels)) + 0.3
    width = max(left + across * _PANEL + MARGIN, LEAST_WIDTH if curves else 0.0)
    heights = (bars_height(down, len(labels)), curves_height(curves, len(labels), width))
    foot = Foot.of(comparison, width)
    sheet = Sheet.blank(width, sum(heights) + foot.height + 2 * MARGIN)
    if comparison.columns:
        bar_panels(sheet, comparison, labels, left=left, across=across)
    if curves:
        curve_panels(sheet.below(heights[0]), curves, labels)
    foot.draw(sheet)
    return sheet.figure


def _labels(comparison: Comparison) -> list[str]:
    """Names of the versions, with their methods where these differ."""
    methods = {row.subject.method for row in comparison.rows}
    return [
        plain(subject.label, _LONGEST)
        + (f" ({plain(subject.method, 16)})" if len(methods) > 1 else "")
        for subject in (row.subject for row in comparison.rows)
    ]
