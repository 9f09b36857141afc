"""Which evaluations are set side by side, and the texts made of them."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from weightpatch.patches.errors import InputError
from weightpatch.patches.evaluation.base import Mean
from weightpatch.patches.reports.comparison import MAIN, Subject, compare
from weightpatch.patches.reports.texts import MISSING, heading, number, to_csv, to_markdown

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


@dataclass(frozen=True)
class Stored:
    suite: str
    suite_digest: str
    base: str
    means: Mapping[str, Mean]
    origin: str = "here"


def stored(after=0.5, *, before=0.0, suite="requests", asked="a", base="b", measure=MAIN[0]):
    return Stored(suite, asked, base, {measure: Mean(before, after, 10)})


def subject(label: str, *evaluations: Stored, method="rome") -> Subject:
    return Subject(label, "0" * 64, method, "org/model", 10, 1234, evaluations)


def afters(comparison) -> list[list[float | None]]:
    return [[mean and mean.after for mean in row.means] for row in comparison.rows]


def test_the_newest_evaluation_counts():
    assert afters(compare([subject("one", stored(0.75), stored(0.5))])) == [[0.75]]


def test_an_older_one_counts_if_it_asked_what_the_others_were_asked():
    one = subject("one", stored(0.75, asked="new"), stored(0.5))
    found = compare([one, subject("two", stored(0.25)), subject("three", stored(1.0))])
    assert afters(found) == [[0.5], [0.25], [1.0]]
    assert found.warnings == ()


def test_the_same_questions_on_the_same_base_go_before_the_same_questions():
    one = subject("one", stored(0.75, base="other"), stored(0.5))
    found = compare([one, subject("two", stored(0.25))])
    assert afters(found) == [[0.5], [0.25]]


def test_what_keeps_versions_apart_is_told():
    one = subject("one", stored(asked="x", base="y"))
    found = compare([one, subject("two", stored()), subject("three")])
    assert afters(found)[2] == [None]
    assert found.warnings == (
        "suite requests: the versions were asked different questions",
        "suite requests: the versions were scored on different bases",
        "suite requests: not scored were three",
    )


def test_a_measure_is_taken_from_the_suite_that_most_versions_have_it_from():
    data = stored(0.25, suite="counterfact")
    found = compare([subject("one", stored(), data), subject("two", data)])
    assert [column.suite for column in found.columns] == ["counterfact"]
    found = compare([subject("one", data, stored())])
    assert [column.suite for column in found.columns] == ["requests"]
    found = compare([subject("one", data, stored())], suites=["counterfact"])
    assert afters(found) == [[0.25]]


def test_measures_are_chosen_by_name_and_in_that_order():
    several = Stored("requests", "a", "b", {name: Mean(0.0, 0.5, 1) for name in (*MAIN[:5], "odd")})
    one = subject("one", several)
    assert [column.measure for column in compare([one]).columns] == list(MAIN[:5])
    found = compare([one], measures=["rome.es", "locality", "rome.es"])
    assert [column.measure for column in found.columns] == ["rome.es", "locality.exact-match"]
    assert [column.measure for column in compare([one], measures=["all"]).columns][-1] == "odd"
    foreign = subject("one", stored(measure="odd"))
    assert [column.measure for column in compare([foreign]).columns] == ["odd"]
    for options in ({"measures": ["even"]}, {"suites": ["text"]}):
        with pytest.raises(InputError, match="no version here"):
            compare([one], **options)


def test_too_many_versions_are_refused():
    with pytest.raises(InputError, match="more than"):
        compare([subject("one")] * 101)


def test_what_all_start_from_is_said_once():
    same = compare([subject("one", stored()), subject("two", stored(1.0))])
    assert same.baseline == (0.0,)
    page = to_markdown(same)
    assert "| *before the edit* |  |  |  |  | 0.000 |" in page
    assert "→" not in page
    other = compare([subject("one", stored()), subject("two", stored(1.0, before=0.25))])
    assert other.baseline is None
    assert "| 0.000→0.500 |" in to_markdown(other)
    assert "| 0.250→1.000 |" in to_markdown(other)


def test_numbers_have_three_decimals_and_missing_ones_a_dash():
    assert number(0.12345) == "0.123"
    assert number(None) == MISSING
    assert number(1e304) == "1e+304"
    assert number(2_500_000_000.0, "B") == "2.5 GB"
    assert heading("locality.token-mean") == "locality (tokens)"
    assert heading("portability.one-hop.exact-match") == "portability.one-hop"


HOSTILE = '=HYPERLINK("https://example.org")|<script>\x1b[2J\n| [x](https://example.org) `'


def test_hostile_text_works_neither_in_markdown_nor_in_a_spreadsheet():
    one = Stored(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: Mean(None, 0.5, 1)})
    found = compare([Subject(HOSTILE, "0" * 64, HOSTILE, HOSTILE, 1, 1, [one])])
    page, sheet = to_markdown(found), to_csv(found)
    assert "\x1b" not in page + sheet
    tokens = MARKDOWN.parse(page)
    inline = [token.children for token in tokens if token.type == "inline"]
    assert {child.type for children in inline for child in children} <= {"text", "text_special"}
    assert not [token for token in tokens if token.type == "html_block"]
    assert sum(token.type == "tr_open" for token in tokens) == 2
    header, row = csv.reader(sheet.splitlines())
    assert len(header) == len(row)
    assert not [cell for cell in (*header, *row) if cell.startswith(("=", "+", "-", "@", "\t"))]


@given(st.text(max_size=60))
def test_no_text_is_a_formula_or_a_new_line(text):
    sheet = to_csv(compare([Subject(text, "0" * 64, text, text, 1, 1, [stored(-0.5)])]))
    _, row = csv.reader(sheet.split("\r\n")[:-1])
    assert row[-1] == "-0.5"
    assert not row[0].strip().startswith(("=", "+", "-", "@"))
