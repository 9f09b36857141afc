"""report: versions side by side, as a table, a picture, files and JSON."""

import csv
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from weightpatch.cli.comparison_table import show_bars, show_table
from weightpatch.cli.output import Output
from weightpatch.patches.evaluation.base import Evaluation, Mean, Score
from weightpatch.patches.reports.comparison import Column, Comparison, Row, Subject
from weightpatch.patches.reports.texts import MISSING
from weightpatch.registry.registry import Registry

BASE = "f" * 64


def evaluation(scores, suite="requests", asked="a") -> Evaluation:
    """Scores of one case: measure to (before, after)."""
    return Evaluation(
        suite=suite,
        suite_digest=asked * 64,
        definitions=dict.fromkeys(scores, "as usual"),
        scores=tuple(Score("1", name, old, new, 1) for name, (old, new) in scores.items()),
        environment={"device": "cpu"},
    )


RETENTION = replace(
    evaluation({}, "retention", "c"),
    definitions={"retention.reliability.exact-match": "as usual"},
    scores=tuple(
        Score(str(edits), "retention.reliability.exact-match", 0.0, after, edits)
        for edits, after in ((1, 1.0), (10, 0.9), (50, 0.5))
    ),
)


@pytest.fixture
def scored(stocked, tmp_path):
    """The desk with scores of both versions: asked alike once, and each once more by itself."""
    one = {"reliability.exact-match": (0.0, 1.0), "rome.es": (0.25, 1.0)}
    two = {"reliability.exact-match": (0.0, 0.5), "rome.es": (0.25, 0.75)}
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        first, second = (registry.resolve(name).digest for name in ("acme/one", "acme/two"))
        for digest, scores in ((first, one), (second, two)):
            registry.record_evaluation(digest, BASE, evaluation(scores))
        newer = evaluation({"reliability.exact-match": (0.5, 0.125)}, asked="b")
        registry.record_evaluation(first, BASE, newer)
        registry.record_evaluation(first, BASE, RETENTION)
        seconds = evaluation({"efficiency.seconds": (None, 12.5)}, "efficiency", "d")
        registry.record_evaluation(second, BASE, seconds)
    return stocked


def test_versions_are_rows_and_measures_columns(scored):
    found = scored.run("report", "acme/one", "acme/two")
    assert found.returncode == 0, found.stderr
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[0] == ["version", "method", "requests", "size", "reliability", "ES", "seconds"]
    assert lines[2] == ["before", "the", "edit", "0.000", "0.250", MISSING]
    assert lines[3][:3] == ["acme/one@1", "rome", "1"]
    assert lines[3][-3:] == ["1.000", "1.000", MISSING]
    assert lines[4][-3:] == ["0.500", "0.750", "12.500"]
    assert "suites: requests: reliability, ES; efficiency: seconds; base base" in found.stdout
    assert "warning" not in found.stderr


def test_the_evaluation_counts_that_asked_what_the_others_were_asked(scored):
    (alone,) = scored.json("report", "acme/one")["versions"]
    assert alone["scores"]["reliability.exact-match"] == {"before": 0.5, "after": 0.125, "cases": 1}
    document = scored.json("report", "acme/one", "acme/two", "--measures", "Reliability,es")
    assert document["schema"] == "weightpatch.report/1"
    assert document["columns"] == [
        {"measure": "reliability.exact-match", "suite": "requests"},
        {"measure": "rome.es", "suite": "requests"},
    ]
    first = document["versions"][0]
    assert first["scores"]["reliability.exact-match"]["after"] == 1.0
    assert first["asked"]["requests"] == "a" * 64
    assert first["retention"]["retention.reliability.exact-match"][-1] == {
        "edits": 50,
        "before": 0.0,
        "after": 0.5,
    }
    assert first["bytes"] > 0
    assert document["warnings"] == []


def test_different_questions_and_bases_are_told(scored, tmp_path):
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        digest = registry.resolve("acme/two").digest
        other = evaluation({"rome.ns": (1.0, 1.0)}, "text", "e")
        registry.record_evaluation(digest, BASE, other)
        registry.record_evaluation(
            registry.resolve("acme/one").digest,
            "e" * 64,
            replace(other, suite_digest="9" * 64),
            origin="hf://acme/one",
        )
    found = scored.run("report", "acme/one", "acme/two", "--suite", "text")
    assert found.returncode == 0, found.stderr
    assert "suite text: the versions were asked different questions" in found.stderr
    assert "suite text: the versions were scored on different bases" in found.stderr
    assert "scores of acme/one@1 are as published at hf://acme/one" in found.stderr


def test_files_are_written_whole_and_replaced_only_by_force(scored, tmp_path):
    picture, table = tmp_path / "scores.svg", tmp_path / "scores.csv"
    asked = ("report", "acme/one", "acme/two", "--picture", picture, "--out", table)
    scored.ok(*asked)
    drawn = picture.read_bytes()
    assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    first, second = csv.DictReader(table.read_text().splitlines())
    assert (first["version"], first["rome.es"], first["efficiency.seconds"]) == (
        "acme/one@1",
        "1.0",
        "",
    )
    assert second["efficiency.seconds"] == "12.5"
    assert "--force" in scored.fails(1, "E_EXISTS", *asked)
    picture.write_text("old")
    scored.ok(*asked, "--force")
    assert picture.read_bytes() == drawn
    assert {file.name for file in tmp_path.iterdir() if file.name.startswith(".")} == set()


def test_what_cannot_be_reported(scored, tmp_path):
    assert scored.run("report").returncode == 2
    wrong = scored.run("report", "acme/one", "--picture", tmp_path / "x.pdf")
    assert wrong.returncode == 2
    assert "must end in .svg or .png" in wrong.stderr
    told = scored.fails(1, "E_FAILED", "report", "acme/one", "--measures", "fluencyy")
    assert "known are reliability.exact-match" in told
    scored.fails(1, "E_FAILED", "report", "acme/one", "--suite", "text")
    for force in ([], ["--force"]):
        nowhere = tmp_path / "nowhere" / "a.png"
        told = scored.fails(1, "E_FAILED", "report", "acme/one", "--picture", nowhere, *force)
        assert f"there is no folder {nowhere.parent}" in told
        assert ".a.png" not in told
    scored.fails(1, "E_NOT_FOUND", "report", "acme/three")


@pytest.mark.parametrize("command", ["report", "show"])
def test_a_checkpoint_is_no_version(desk, command):
    told = desk.fails(1, "E_MANIFEST", command, desk.base.path)
    assert f"there is no patch.json in {desk.base.path}" in told


def test_a_folder_without_a_registry_has_no_scores(desk):
    found = desk.run("report", desk.exchange / "acme" / "one" / "v1")
    assert found.returncode == 0, found.stderr
    assert "acme/one@1" in found.stdout
    assert "no scores are stored" in found.stderr


NAMES = [f"acme/a-rather-long-name-{number}@1" for number in range(3)]
MEASURES = ["reliability.exact-match", "locality.exact-match", "rome.em"]


def comparison(befores=(0.0, 1.0, -0.5)) -> Comparison:
    means = tuple(Mean(before, 0.5, 1) for before in befores)
    return Comparison(
        tuple(Column(name, "requests") for name in MEASURES),
        tuple(Row(Subject(name, "0" * 64, "rome", "b", 1, 10), {}, means) for name in NAMES),
        (),
    )


def shown(capsys, monkeypatch, width, show=show_table, **options) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")  # no colours
    show(Output(as_json=False), comparison(**options))
    return capsys.readouterr().out


def test_a_wide_terminal_shows_a_row_a_version(capsys, monkeypatch):
    lines = shown(capsys, monkeypatch, 120).splitlines()
    assert len(lines) == 2 + 1 + len(NAMES)
    assert lines[0].split()[-3:] == ["reliability", "locality", "EM"]
    assert lines[2].split()[-3:] == ["0.000", "1.000", "-0.500"]


@pytest.mark.parametrize("width", [50, 70])
def test_a_narrow_terminal_shows_versions_as_columns_some_at_a_time(capsys, monkeypatch, width):
    page = shown(capsys, monkeypatch, width)
    assert max(map(len, page.splitlines())) <= width
    assert all(name in page for name in NAMES)
    assert page.count("reliability") > 1


def test_where_versions_start_from_several_places_cells_say_so():
    first, second, _ = comparison().rows
    other = replace(second, means=(Mean(0.25, 1.0, 1), *second.means[1:]))
    found = Comparison(comparison().columns, (first, other), ())
    assert found.baseline is None


def test_bars_reach_as_far_as_the_values(capsys, monkeypatch):
    page = shown(capsys, monkeypatch, 100, show=show_bars, befores=(0.0, 1.0, 0.0))
    assert page.count("█" * 16 + " ") == len(MEASURES) * len(NAMES)
    assert "0.500" in page
