"""--data takes requests out of a data set, a seeded sample of them or those named."""

import json

import click
import pytest
from click.testing import CliRunner
from weightpatch.cli.data import data_options, requests_from, requests_of_options
from weightpatch.cli.output import Output
from weightpatch.patches.errors import InputError

GOOD = {"prompt": "{} is", "subject": "x", "target": "y"}


@pytest.fixture
def own(tmp_path):
    """A file of three requests and a line that is none, as --data names it."""
    lines = [{**GOOD, "id": name} for name in "abc"]
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, [*lines, {**GOOD, "subject": ""}])))
    return f"jsonl:{file}"


def ids(*arguments, **options) -> list[str]:
    return [request.id for request in requests_from(*arguments, **options).requests]


def test_without_a_count_all_are_taken():
    assert len(ids("counterfact", None, 0, False)) == 400


def test_a_sample_is_drawn_by_seed():
    assert ids("counterfact", 3, 0, False) == ["392", "404", "282"]
    assert ids("counterfact", 3, 1, False) != ids("counterfact", 3, 0, False)


def test_records_are_named_by_their_ids_in_the_order_asked_for():
    assert ids("counterfact", None, 0, False, cases=("7", "1", "7")) == ["7", "1"]
    with pytest.raises(InputError, match="no record with the id '13'"):
        ids("counterfact", None, 0, False, cases=("7", "13"))


def test_the_parts_share_nothing():
    evaluation = ids("knowedit", None, 0, False, part="evaluation")
    training = ids("knowedit", None, 0, False, part="training")
    assert len(evaluation) == len(training) == 200
    assert not {*evaluation} & {*training}


def test_bad_records_are_left_out_when_asked_and_counted(own):
    notes: list[str] = []
    with pytest.raises(InputError, match="line 4: subject"):
        requests_from(own, None, 0, False)
    assert ids(own, None, 0, True, note=notes.append) == ["a", "b", "c"]
    (note,) = notes
    assert "1 left out, the first for line 4: subject" in note
    assert requests_from(own, None, 0, True).left_out == 1
    assert requests_from(own, 2, 0, True).left_out == 1
    assert requests_from("counterfact", 2, 0, True).left_out == 0


@click.command()
@data_options
def asks(**options):
    """A command that says which records it was given."""
    drawn = requests_of_options(options, Output(as_json=False))
    click.echo(" ".join(request.id for request in drawn.requests))


def test_a_command_with_the_options_gets_the_requests():
    found = CliRunner().invoke(asks, ["--data", "counterfact", "--count", "3"])
    assert found.output.split() == ["392", "404", "282"]


@pytest.mark.parametrize(
    ("reason", "arguments"),
    [
        ("--data is missing", []),
        ("--count goes with --data", ["--count", "3"]),
        ("--case goes with --data", ["--case", "7"]),
        ("--skip-bad goes with --data", ["--skip-bad"]),
        ("--part goes with --data", ["--part", "training"]),
        ("--case and --count", ["--data", "counterfact", "--case", "7", "--count", "3"]),
        ("'--count'", ["--data", "counterfact", "--count", "0"]),
        ("'--part'", ["--data", "counterfact", "--part", "half"]),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(reason, arguments):
    found = CliRunner().invoke(asks, arguments)
    assert found.exit_code == 2
    assert reason in found.output


def test_create_takes_requests_from_one_place(run_command):
    command = ("create", "rome", "base", "--name", "a/b", "--paraphrase", "{} is")
    found = run_command(*command, "--data", "counterfact")
    assert found.returncode == 2
    assert "--data goes without --paraphrase" in found.stderr


def test_data_that_cannot_be_had_is_one_error(desk):
    create = ("create", "rome", "base", "--name", "a/b")
    assert "zsre:FILE" in desk.fails(1, "E_FAILED", *create, "--data", "zsre")


def test_a_name_that_is_spelt_wrongly_is_answered_with_those_that_are_there(desk):
    told = desk.fails(
        1, "E_PLUGIN", "create", "rome", "base", "--name", "a/b", "--data", "counterfct"
    )
    assert "counterfact, jsonl, knowedit, zsre" in told
    assert "next: check the spelling" in told


def test_a_file_that_is_not_there_is_said_not_to_be(desk, tmp_path):
    spec = f"zsre:{tmp_path / 'nofile.json'}"
    told = desk.fails(1, "E_FAILED", "create", "rome", "base", "--name", "a/b", "--data", spec)
    assert "nofile.json does not exist" in told


def test_a_file_without_a_request_is_named_with_what_to_write(desk, tmp_path):
    (tmp_path / "none.jsonl").write_text("\n\n")
    line = ("create", "rome", "base", "--name", "a/b", "--requests", tmp_path / "none.jsonl")
    told = desk.fails(1, "E_REQUEST", *line)
    assert "none.jsonl holds no request" in told
    assert "next: write one a line" in told


@pytest.mark.slow
def test_create_takes_its_requests_from_a_data_set(desk, smollm2):
    desk.ok("init")
    arguments = ("rome", smollm2, "--name", "acme/fact", "--data", "counterfact", "--case", "0")
    desk.ok("create", *arguments, "--set", "statistics_tokens=1000")
    (request,) = desk.json("show", "acme/fact")["requests"]
    assert (request["id"], request["subject"]) == ("0", "Danielle Darrieux")
