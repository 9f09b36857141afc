"""check, as a user types it: on a base, with thresholds, as a matrix, and with a model."""

import json
from math import nan
from pathlib import Path

import numpy as np
import pytest
from click import unstyle
from pages import commands, snippets
from small_models import save_small_llama
from weightpatch.cli.commands.check import refuse_conflicts, verdict
from weightpatch.cli.finding_table import finding_rows, finding_table
from weightpatch.cli.output import Output
from weightpatch.cli.overview import overview, overview_json
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.conflicts.findings import Finding
from weightpatch.patches.conflicts.report import Report
from weightpatch.patches.errors import ConflictFound
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.requests import EditRequest, Probe
from weightpatch.registry.registry import Registry


def folder(patch: Patch):
    return patch.files["patch.json"].parent


@pytest.fixture
def crowd(pico, desk):
    """Fifteen folders of patches, more than a screen has room for as a square."""
    return [
        folder(
            pico.patch(
                desk.base,
                f"acme/p{number:02}",
                seed=number,
                requests=[EditRequest("{} is", f"subject {number}", "it")],
            )
        )
        for number in range(15)
    ]


def test_a_number_refuses_if_the_user_says_so(stocked):
    stocked.ok("check", "acme/one", "acme/two")
    message = stocked.fails(
        3, "E_CONFLICT", "check", "acme/one", "acme/two", "--threshold", "cosine_conflict=0"
    )
    assert "cosine" in message
    found = stocked.json("check", "acme/one", "acme/two", "--threshold", "overlap-conflict=1.5")
    assert found["thresholds"]["overlap_conflict"] == 1.5
    assert found["thresholds"]["cosine_conflict"] is None


@pytest.mark.parametrize("given", ["cosine", "cosine=much", "cosin=0.5", "cosine=-1"])
def test_what_is_no_threshold_is_wrong_usage(stocked, given: str):
    found = stocked.run("check", "acme/one", "acme/two", "--threshold", given)
    assert found.returncode == 2
    assert "--threshold" in found.stderr


def test_a_base_that_does_not_fit_is_a_conflict(stocked, pico):
    stocked.ok("check", "acme/one", "acme/two", "--base", stocked.base.path)
    other = pico.base("other", seed=9)
    message = stocked.fails(3, "E_CONFLICT", "check", "acme/one", "acme/two", "--base", other.path)
    assert "acme/one@1 and other cannot be used together" in message


def test_a_few_patches_are_shown_as_squares(stocked):
    said = stocked.ok("check", "acme/one", "acme/two", "--matrix")
    assert "1 acme/one@1" in said
    found = stocked.json("check", "acme/one", "acme/two", "--matrix")
    square = found["matrix"]["cosine"]
    assert square[0][0] is None
    assert square[0][1] == square[1][0] == pytest.approx(found["findings"][0]["numbers"]["cosine"])


def test_many_patches_are_shown_by_their_worst_pairs(desk, crowd):
    said = desk.ok("check", *crowd, "--matrix")
    assert "the worst pairs" in said
    assert "1 acme/p00@1" not in said
    assert "the 50 gravest rows are shown" in said


def test_patches_that_do_not_meet_have_no_numbers(desk, pico):
    up = {pico.UP: [pico.lowrank((10, 6))]}
    requests = [EditRequest("{} is", "it", "so")]
    other = pico.patch(desk.base, "acme/up", operations=up, requests=requests)
    said = desk.ok("check", desk.exchange / "acme" / "one" / "v1", folder(other), "--matrix")
    assert "no tensor has low-rank deltas of two of them to compare" in said


def test_pairs_that_were_not_compared_are_not_said_to_fit(desk, pico):
    patches = [
        folder(
            pico.patch(
                desk.base,
                f"acme/p{number:02}",
                operations={pico.DOWN: [pico.dense((6, 10), seed=number)]},
                requests=[EditRequest("{} is", f"subject {number}", "it")],
            )
        )
        for number in range(30)
    ]
    said = desk.ok("check", *patches)
    assert said.splitlines()[-1].startswith("no conflict found; ")
    assert "; 135 pairs of deltas were not compared" in said
    assert "they can be used together" not in said
    assert desk.json("check", *patches)["left_out"]["not compared"] == 135
    never = ("cosine_conflict=0.99", "cosine=1")
    said = desk.ok("check", *patches, *(word for each in never for word in ("--threshold", each)))
    assert "no conflict: they can be used together" in said


def test_a_matrix_is_shown_as_it_was_computed(capsys):
    labels = ["acme/one@1", "acme/two@1"]
    nothing = np.full((2, 2), nan, np.float32)
    cosine = np.array([[nan, 0.25], [0.25, nan]], np.float32)
    found = {"interference": nothing, "cosine": cosine, "overlap": nothing}
    overview(Output(as_json=False), labels, found)
    said = capsys.readouterr().out
    assert [line.split()[-2:] for line in said.splitlines()[-2:]] == [["·", "0.25"], ["0.25", "·"]]
    document = overview_json(labels, found)
    assert document["matrix"]["cosine"] == [[None, 0.25], [0.25, None]]


def test_what_was_not_measured_is_not_the_diagonal(capsys):
    square = np.full((3, 3), nan, np.float32)
    square[0, 1] = square[1, 0] = 0.5
    overview(Output(as_json=False), ["a", "b", "c"], {"cosine": square})
    assert capsys.readouterr().out.splitlines()[-1].split() == ["3", "c", "-", "-", "·"]


def test_warnings_are_said_with_the_verdict():
    weights = Finding("weights", "warning", ("a", "b"), "down", "both change it", {"cosine": 0.2})
    facts = Finding("facts", "warning", ("a", "b"), "France", "both are about it")
    alone = verdict(Report([weights]), on_a_base=False, asked=False)
    assert alone == "no conflict; 1 warning says what may suffer; try --behaviour"
    for found, asked in (([weights], True), ([facts, weights], False)):
        said = verdict(Report(found), on_a_base=False, asked=asked)
        assert said.endswith("what may suffer")
    assert verdict(Report([]), on_a_base=False, asked=False).endswith("used together")


def test_bases_that_may_differ_are_no_warning_of_what_suffers():
    apart = Finding("weights", "warning", ("a", "b"), "base", "made for different bases")
    said = verdict(Report([apart]), on_a_base=False, asked=False)
    assert said == "no conflict, if one base fits all of them"


def test_a_row_stands_for_all_tensors_of_a_pair(stocked, pico):
    operations = [
        {pico.DOWN: [pico.lowrank((6, 10), seed=1)], pico.UP: [pico.lowrank((10, 6), seed=2)]},
        {pico.DOWN: [pico.lowrank((6, 10), seed=3)], pico.UP: [pico.lowrank((10, 6), seed=2)]},
    ]
    patches = [
        folder(
            pico.patch(
                stocked.base,
                f"acme/wide{number}",
                operations=each,
                requests=[EditRequest("{} is", f"subject {number}", "it")],
            )
        )
        for number, each in enumerate(operations)
    ]
    every = ("--threshold", "cosine=0")
    found = stocked.json("check", *patches, *every)
    assert len(found["findings"]) == 2
    said = stocked.ok("check", *patches, *every)
    (row,) = [line for line in said.splitlines() if line.startswith("WARNING")]
    assert (
        f"{pico.UP} and 1 more tensor   both change this tensor, cosine of the two deltas +1.000"
        in row
    )
    assert all(line == line.rstrip() for line in said.splitlines())
    assert "no conflict; 2 warnings say what may suffer" in said


def test_findings_fit_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    tensor = "model.layers.3.mlp.down_proj.weight"
    sentence = "both change this tensor, cosine of the two deltas +0.098; " * 3
    pair = ("acme/job-x@1", "acme/darrieux@4")
    found = [Finding("weights", "warning", pair, tensor, sentence, {"cosine": 0.1})]
    finding_table(Output(as_json=False), finding_rows(found))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "WARNING   weights   acme/job-x@1 + acme/darrieux@4"
    assert lines[1].startswith(f"  {tensor}: both change")
    monkeypatch.setenv("COLUMNS", "160")
    finding_table(Output(as_json=False), finding_rows(found))
    lines = unstyle(capsys.readouterr().out).splitlines()
    assert lines[0].split() == ["level", "between", "where", "finding"]
    assert max(map(len, lines)) <= 160


def test_a_refusal_says_what_to_do_next():
    clash = Finding("facts", "conflict", ("acme/one@1", "acme/two@1"), "France", "two answers")
    with pytest.raises(ConflictFound, match="acme/one@1 and acme/two@1") as found:
        refuse_conflicts([clash])
    assert found.value.hint == "choose one of them"
    with pytest.raises(ConflictFound) as found:
        refuse_conflicts([clash], hint="say --allow-conflicts")
    assert found.value.hint == "say --allow-conflicts"


def test_json_holds_plain_json_only(desk, crowd):
    def refuse(name: str) -> None:
        raise AssertionError(name)

    said = desk.ok("check", *crowd[:3], "--matrix", "--json")
    document = json.loads(said, parse_constant=refuse)
    assert document["schema"] == "weightpatch.check/1"
    worst = document["pairs"][0]
    assert set(worst) == {"patches", "cosine", "overlap"}
    assert worst["patches"][0] in document["matrix"]["patches"]


def test_a_model_is_asked_on_request(desk, pico):
    base = Checkpoint.open(save_small_llama(pico.root / "llama"))
    tensor = "model.layers.1.mlp.down_proj.weight"
    requests = [
        EditRequest(
            "The mother tongue of {} is",
            subject,
            "English",
            old_target="French",
            neighbourhood=(Probe("The garden is", "lovely"),),
        )
        for subject in ("Marie", "Danielle")
    ]
    patches = [
        folder(
            pico.patch(
                base,
                f"acme/p{seed}",
                operations={tensor: [pico.lowrank((32, 48), seed=seed)]},
                requests=[request],
            )
        )
        for seed, request in enumerate(requests)
    ]
    found = desk.run("check", *patches, "--base", base.path, "--behaviour", "--json")
    levels = {finding["level"] for finding in json.loads(found.stdout)["findings"]}
    assert "behaviour" in levels
    graver = [one for one in json.loads(found.stdout)["findings"] if one["severity"] == "conflict"]
    assert found.returncode == (3 if graver else 0), found.stderr


def test_without_a_base_no_model_can_be_asked(stocked):
    stocked.fails(1, "E_CHECKPOINT", "check", "acme/one", "acme/two", "--behaviour")


def test_the_page_runs_from_top_to_bottom(pico, desk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    desk.ok("init")
    base = pico.base("smollm2")
    for seed, (name, request) in enumerate(
        {"capitals": pico.REQUEST, "tongues": pico.OTHER_REQUEST}.items()
    ):
        patch = pico.patch(base, f"acme/{name}", seed=seed, requests=[request])
        folder(patch).rename(tmp_path / name)
        with Registry.open(home=tmp_path / "home", actor="tester") as registry:
            registry.admit(Patch.open(tmp_path / name))
    page = (Path(__file__).parents[2] / "docs" / "conflicts.md").read_text()
    for command in commands(page):
        desk.ok(*command)
    (snippet,) = snippets(page)
    names: dict = {}
    exec(compile(snippet, "conflicts.md", "exec"), names)
    assert names["findings"]
