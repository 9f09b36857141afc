"""Pictures of comparisons: the same bytes each time, and no harm from names."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib as mpl
import pytest
from weightpatch.patches.errors import InputError, PluginMissing
from weightpatch.patches.evaluation.base import Mean
from weightpatch.patches.reports.comparison import (
    Column,
    Comparison,
    Point,
    Row,
    Subject,
    compare,
)
from weightpatch.patches.reports.foot import Foot
from weightpatch.patches.reports.picture import draw
from weightpatch.patches.reports.sheet import plain

CURVE = {"retention.reliability.exact-match": [Point(1, 0.0, 1.0), Point(50, 0.0, 0.5)]}


def comparison(versions: int, means=None, label="acme/one", measure="rome.es", curve=None):
    means = means or [Mean(0.0, 0.5, 1), Mean(0.25, -0.5, 1), Mean(None, 1e300, 1)]
    columns = tuple(Column(f"{measure}{number}", "requests") for number in range(len(means)))
    rows = tuple(
        Row(Subject(f"{label}@{n}", "0" * 64, "rome", "b", 1, 1, (), curve or {}), {}, tuple(means))
        for n in range(versions)
    )
    return Comparison(columns, rows, ())


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_comparison_gives_the_same_bytes_in_any_process(kind):
    code = (
        "import sys, weightpatch.patches.reports.comparison as c\n"
        "from weightpatch.patches.evaluation.base import Mean\n"
        "from weightpatch.patches.reports.picture import draw\n"
        "rows = (c.Row(c.Subject('acme/one@0', '0' * 64, 'rome', 'b', 1, 1), {},"
        " (Mean(0.0, 0.5, 1),)),)\n"
        "found = c.Comparison((c.Column('rome.es0', 'requests'),), rows, ())\n"
        f"sys.stdout.buffer.write(draw(found, '{kind}'))\n"
    )
    made = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
        for _ in range(2)
    ]
    here = draw(comparison(1, [Mean(0.0, 0.5, 1)]), kind)
    assert made == [here, here]


@pytest.mark.parametrize("versions", [1, 7, 20])
def test_any_number_of_versions_with_long_names_can_be_drawn(versions):
    drawn = draw(comparison(versions, label="organisation/" + "long-" * 18, curve=CURVE), "svg")
    assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"


def test_a_version_without_a_score_or_a_curve_leaves_its_place_empty():
    one = Row(Subject("one", "0" * 64, "rome", "b", 1, 1, (), CURVE), {}, (None,))
    two = Row(Subject("two", "0" * 64, "ft", "c", 1, 1), {}, (None,))
    found = Comparison((Column("rome.es", "requests"),), (one, two), ())
    assert draw(found, "png").startswith(b"\x89PNG")
    assert draw(Comparison((), (one, two), ()), "png").startswith(b"\x89PNG")


def test_no_text_becomes_markup_or_mathematics():
    hostile = "中文 <script>alert(1)</script> $\\frac{1}{2$ --> \x1b]0;"
    drawn = draw(comparison(1, label=hostile, measure=hostile), "svg")
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(drawn).iter()}
    assert not tags & {"script", "image", "a", "foreignObject"}
    assert b"\x1b" not in drawn


def test_the_users_own_style_is_left_alone_and_has_no_say():
    before = draw(comparison(1), "svg")
    with mpl.rc_context({"font.size": 20.0, "axes.facecolor": "black"}):
        assert draw(comparison(1), "svg") == before
        assert mpl.rcParams["font.size"] == 20.0
    assert "matplotlib.pyplot" not in sys.modules


def test_what_cannot_be_drawn(monkeypatch):
    with pytest.raises(InputError, match="no scores"):
        draw(compare([Subject("one", "0" * 64, "rome", "b", 1, 1)]), "svg")
    with pytest.raises(InputError, match="room for"):
        draw(comparison(41), "svg")
    with pytest.raises(InputError, match="svg or png"):
        draw(comparison(1), "pdf")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PluginMissing) as refusal:
        draw(comparison(1), "svg")
    assert refusal.value.hint == 'pip install "weightpatch[plot]"'


def test_long_names_are_cut_in_their_middle():
    assert plain("acme/one@1", 20) == "acme/one@1"
    assert plain("organisation/a-long-name@12", 15) == "organis…name@12"


def test_the_foot_warns_and_says_what_short_names_mean():
    shown = Comparison(
        (Column("rome.es", "requests"), Column("rome.score", "requests")),
        comparison(1, [Mean(0.0, 0.5, 1)] * 2).rows,
        ("suite requests: the versions were asked different questions",),
    )
    foot = Foot.of(shown, 8.0)
    assert foot.lines == (
        "before the edit on b",
        "ES: new answer likelier than the old one; S: harmonic mean of ES, PS and NS",
        "Warning: suite requests: the versions were asked different questions",
    )
    assert len(Foot.of(shown, 3.0).lines) > 3
    assert draw(shown, "svg") != draw(replace(shown, warnings=()), "svg")
