"""sweep: a table with a layer a row, the best marked, and the setting to use."""

import json

import pytest
from small_models import save_small_llama
from weightpatch.cli.main import main

REQUESTS = [
    {
        "prompt": "The mother tongue of {} is",
        "subject": "Marie Curie",
        "target": "English",
        "old_target": "French",
        "paraphrases": ["{} speaks"],
        "neighbourhood": ["The mother tongue of Danielle is"],
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
    assert rows[0][:2] == ["layer", "reliability"]
    assert [row[0] for row in rows if row and row[0] in ("0", "1", "2", "3")] == ["0", "2"]
    (best,) = [row[0] for row in rows if row and row[-1] == "best"]
    assert "score: harmonic mean of ES, PS, NS" in out
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
