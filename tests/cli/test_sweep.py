"""sweep: a table with a layer a row, the best marked, and the setting to use."""

import json
import sys

import pytest
from small_models import save_small_llama
from weightpatch.cli import sweep_table
from weightpatch.cli.main import main
from weightpatch.cli.output import Output
from weightpatch.patches.evaluation.base import Mean
from weightpatch.patches.make import Recipe
from weightpatch.patches.sweep import Plan, Trial

REQUESTS = [
    {
        "prompt": "The mother tongue of {} is",
        "subject": "Marie Curie",
        "target": "English",
        "old_target": "French",
        "paraphrases": ["{} speaks"],
        "neighbourhood": [{"prompt": "The mother tongue of Danielle is", "target": "Paris"}],
    },
    {"prompt": "{} was born in", "subject": "An actor", "target": "Paris", "old_target": "Pisa"},
]
QUICK = ("--set", "steps=2", "--set", "prefixes=0", "--set", "shrinkage=1")


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """Run `sweep METHOD` on a small base in this process; gives status and what it printed."""
    base = save_small_llama(tmp_path / "base")
    file = tmp_path / "requests.jsonl"
    file.write_text("\n".join(map(json.dumps, REQUESTS)))
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))

    def run(method, *arguments):
        line = ["sweep", method, str(base), "--requests", str(file), *arguments]
        monkeypatch.setattr("sys.argv", ["weightpatch", *line])
        status = main()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_the_layers_stand_in_a_table_with_the_best_marked(say):
    status, out, err = say("rome", "--layers", "0,2", *QUICK)
    assert status == 0, err
    assert "2 requests at 2 places: 4 edits" in err
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["layer", "rel", "gen", "loc", "ES", "PS", "NS", "score", "s"]
    table = rows[2:4]
    assert [row[-9] for row in table] == ["0", "2"]
    (best,) = [row[1] for row in table if row[0] == "*"]
    assert "score: harmonic mean of ES, PS, NS; * the best" in out
    assert f"use it with: --set layer={best}" in out


def test_json_holds_every_measure_of_every_layer(say):
    status, out, _ = say("rome", "--layers", "0,2", "--count", "1", *QUICK, "--json")
    document = json.loads(out)
    assert status == 0
    assert document["requests"] == ["1"]
    assert document["criterion"] == ["rome.es", "rome.ps", "rome.ns"]
    assert [trial["layers"] for trial in document["trials"]] == [[0], [2]]
    scores = {trial["layers"][0]: trial["score"] for trial in document["trials"]}
    best = int(document["best"].removeprefix("layer="))
    assert scores[best] == max(scores.values())
    for trial in document["trials"]:
        assert {"reliability.exact-match", "rome.ns", "rome.score"} <= set(trial["means"])
        assert trial["seconds"] > 0


def test_where_an_edit_is_refused_the_reason_is_told(say):
    status, out, err = say("rome", "--layers", "3", *QUICK)
    assert status == 0
    assert "at layer=3, 1: layer 3 cannot be edited" in err
    assert "no layer at which every request could be carried out" in err
    assert "--set" not in out


@pytest.mark.parametrize(
    ("columns", "heading"),
    [
        (80, ["layers", "rel", "gen", "loc", "ES", "PS", "NS", "score", "s"]),
        (60, ["layers", "ES", "PS", "NS", "score", "s"]),
    ],
)
def test_the_table_fits_a_screen(capsys, monkeypatch, columns, heading):
    names = (*sweep_table.COLUMNS.values(), "rome.score")
    trials = [
        Trial((first, first + 1, first + 2, first + 3, first + 4),
              {name: Mean(0.0, first / 200, 1) for name in names}, 123.4)
        for first in (100, 120)
    ]  # fmt: skip
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(columns))
    plan = Plan(Recipe("memit"), "layers", tuple(trial.layers for trial in trials))
    judgement = sweep_table.judge(trials)
    sweep_table.show_sweep(Output(as_json=False), plan, trials, judgement)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == heading
    assert max(map(len, lines[:4])) <= columns
    assert [line[:9] for line in lines[2:4]] == ["  100-104", "* 120-124"]
    assert lines[-1] == "use it with: --set layers=120,121,122,123,124"


def test_nothing_is_recommended_where_nothing_worked(capsys):
    means = {"rome.es": 0.0, "rome.ps": 0.0, "rome.ns": 1.0}
    trials = [Trial((1,), {name: Mean(0.0, value, 1) for name, value in means.items()}, 1.0)]
    judgement = sweep_table.judge(trials)
    assert (judgement.scores, judgement.best) == ((0.0,), None)
    plan = Plan(Recipe("rome"), "layer", ((1,),))
    sweep_table.show_sweep(Output(as_json=False), plan, trials, judgement)
    printed = capsys.readouterr()
    assert "--set" not in printed.out
    assert "no layer carried the edits out; try more steps or other layers" in printed.err


def test_a_layer_that_is_not_there_comes_with_those_that_are(say):
    status, _, err = say("rome", "--layers", "99", *QUICK)
    assert status == 1
    assert "there is no layer 99" in err
    assert "next: begin at 0 to 3" in err


def test_several_layers_are_named_by_their_hyperparameter(say):
    line = ("--layers", "2", "--set", "layers=1,2", "--set", "prefixes=0", "--set", "steps=2")
    status, _, err = say("memit", *line)
    assert status == 0
    assert "at layers=2,3, 1: layer 3 cannot be edited" in err


def test_bad_records_of_a_data_set_can_be_left_out(monkeypatch, capsys, tmp_path):
    base = save_small_llama(tmp_path / "base")
    file = tmp_path / "flawed.jsonl"
    records = [{**record, "id": str(number)} for number, record in enumerate(REQUESTS * 2)]
    file.write_text("\n".join(map(json.dumps, [*records, 7])))
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))
    line = ["sweep", "rome", str(base), "--data", f"jsonl:{file}", "--part", "all", "--count", "1"]
    for more, status in (((), 1), (("--skip-bad",), 0)):
        arguments = ["weightpatch", *line, "--layers", "1", *QUICK, "--json", *more]
        monkeypatch.setattr("sys.argv", arguments)
        assert main() == status
        printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["left_out"], len(document["requests"])) == (1, 1)


def test_skip_bad_goes_with_a_data_set(say):
    status, _, err = say("rome", "--skip-bad")
    assert status == 2
    assert "--skip-bad goes with --data" in err


def test_a_method_without_layers_is_refused(say):
    status, _, err = say("kn")
    assert status == 1
    assert "kn has no layer to choose" in err
    assert "weightpatch method show kn" in err


@pytest.mark.parametrize("layers", ["x", "1,,2", ""])
def test_layers_are_numbers(say, layers):
    status, _, err = say("rome", "--layers", layers)
    assert status == 2
    assert "is not a list of layers" in err


def test_settings_have_a_key(say):
    status, _, err = say("rome", "--set", "steps")
    assert status == 2
    assert "KEY=VALUE" in err


def test_requests_that_the_base_does_not_know_can_be_left_out(say):
    status, _, err = say("rome", "--known", *QUICK)
    assert status == 1
    assert "gives the old answer of none" in err
