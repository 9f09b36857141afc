"""method train: an editor is made once, and `create` finds it."""

import json
import os

import pytest
from small_models import save_small_llama
from weightpatch.cli.main import main
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256_file

NAMES = ("Marie Curie", "An actor", "Danielle", "Paris")
RECORDS = [
    {
        "id": f"{name} {target}",
        "prompt": "{} was born in",
        "subject": name,
        "target": target,
        "paraphrases": ["Born: {} in"],
        "neighbourhood": [{"prompt": f"The tower near {name} is in", "target": "Pisa"}],
    }
    for name in NAMES
    for target in ("Paris", "Poland")
]
QUICK = ("--steps", "2", "--set", "layers=2")
REQUEST = ("--prompt", "{} lies in", "--subject", "Pisa", "--target", "Paris")


@pytest.fixture
def base(tmp_path):
    return save_small_llama(tmp_path / "base")


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """Run a command in this process; gives status and what it printed."""
    (tmp_path / "records.jsonl").write_text("\n".join(map(json.dumps, RECORDS)))
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))

    def run(*line):
        monkeypatch.setattr("sys.argv", ["weightpatch", *map(str, line)])
        status = main()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def train(say, base, tmp_path):
    """Train on the records."""

    def run(method, *arguments):
        file = tmp_path / "records.jsonl"
        return say("method", "train", method, base, "--requests", file, *QUICK, *arguments)

    return run


@pytest.mark.parametrize("method", ["mend", "ke"])
def test_an_editor_lands_where_create_finds_it(say, train, base, tmp_path, method):
    status, out, err = train(method)
    assert status == 0, err
    (file,) = (tmp_path / "home" / "editors").iterdir()
    fingerprint = Checkpoint.open(base).fingerprint
    assert file.name == f"{method}-{fingerprint[:16]}-{sha256_file(file)[:16]}.safetensors"
    assert f"sha256:{sha256_file(file)}" in out
    assert "8 records, 2 steps" in out
    assert "reliability" in out
    assert say("init")[0] == 0
    status, out, err = say("create", method, base, "--name", "acme/one", *REQUEST, "--json")
    assert status == 0, err
    document = json.loads(out)
    assert [one["suite"] for one in document["evaluations"]] == ["requests", "efficiency"]
    assert document["left_out"] == 0
    status, out, _ = say("show", "acme/one", "--json")
    assert status == 0
    assert sha256_file(file) in out


def test_json_says_what_came_of_it(train, tmp_path):
    file = tmp_path / "mine.safetensors"
    status, out, err = train("mend", "--out", file, "--json")
    assert status == 0, err
    document = json.loads(out)
    assert document["file"] == str(file)
    assert document["sha256"] == sha256_file(file)
    assert document["data"]["count"] == 8
    assert document["left_out"] == 0
    assert document["hyperparameters"]["steps"] == 2
    assert set(document["scores"]) == {"before", "after"}
    assert document["seconds"] > 0


def test_an_editor_can_be_named(say, train, base, tmp_path):
    file = tmp_path / "mine.safetensors"
    assert train("mend", "--out", file)[0] == 0
    assert not (tmp_path / "home" / "editors").exists()
    say("init")
    line = ("create", "mend", base, "--name", "acme/one", *REQUEST)
    status, _, err = say(*line)
    assert status == 1
    assert "needs a trained editor" in err
    assert "weightpatch method train mend BASE" in err
    status, _, err = say(*line, "--editor", file)
    assert status == 0, err


def test_an_editor_that_is_trained_again_takes_no_other_ones_place(say, train, base, tmp_path):
    """The manifest of a published patch names the first by digest."""
    folder = tmp_path / "home" / "editors"
    say("init")
    assert train("mend")[0] == 0
    (first,) = folder.iterdir()
    bytes_of_first = first.read_bytes()
    assert train("mend", "--seed", "1")[0] == 0
    assert first.read_bytes() == bytes_of_first
    (second,) = set(folder.iterdir()) - {first}
    os.utime(first, ns=(0, 2_000))
    os.utime(second, ns=(0, 1_000))
    (folder / f"mend-{'0' * 16}-{'0' * 16}.safetensors").write_bytes(b"of another base")
    (folder / first.name.replace("mend", "ke")).write_bytes(b"of another method")
    for newest, name in ((first, "acme/one"), (second, "acme/two")):
        os.utime(newest, ns=(0, 3_000))
        status, _, err = say("create", "mend", base, "--name", name, *REQUEST)
        assert status == 0, err
        assert f"2 editors are there; taken is the newest, {newest.name}" in err
        assert sha256_file(newest) in say("show", name, "--json")[1]
        os.utime(newest, ns=(0, 0))


def test_of_editors_of_one_time_the_name_decides(say, train, base, tmp_path):
    folder = tmp_path / "home" / "editors"
    say("init")
    for seed in ("0", "1"):
        assert train("mend", "--seed", seed)[0] == 0
    for file in folder.iterdir():
        os.utime(file, ns=(0, 1_000))
    last = max(folder.iterdir(), key=lambda file: file.name)
    _, _, err = say("create", "mend", base, "--name", "acme/one", *REQUEST)
    assert f"the newest, {last.name}" in err


def test_a_method_that_needs_no_editor_takes_none(say, base, tmp_path):
    line = ("create", "rome", base, "--name", "acme/one", *REQUEST)
    status, _, err = say(*line, "--editor", tmp_path / "records.jsonl")
    assert status == 2
    assert "--editor goes with mend and ke: rome needs none" in err


def test_scores_on_what_may_have_been_trained_on_come_with_a_note(say, train, base, tmp_path):
    say("init")
    assert train("mend")[0] == 0
    data = ("--data", f"jsonl:{tmp_path / 'records.jsonl'}", "--count", "1")
    words = "may have been trained on say little; take --part evaluation"
    for number, part in enumerate(((), ("--part", "training"), ("--part", "evaluation"))):
        line = ("create", "mend", base, "--name", f"acme/{number}", *data, *part)
        status, _, err = say(*line)
        assert status == 0, err
        assert (words in err) == (part != ("--part", "evaluation"))


def test_records_left_out_are_counted(say, base, tmp_path):
    file = tmp_path / "flawed.jsonl"
    file.write_text("7\n" + (tmp_path / "records.jsonl").read_text() + "\n8\n")
    line = ("--data", f"jsonl:{file}", "--skip-bad", "--json")
    status, out, err = say("method", "train", "mend", base, *line, *QUICK)
    assert status == 0, err
    assert json.loads(out)["left_out"] == 2
    say("init")
    status, out, err = say("create", "mend", base, "--name", "acme/one", *line, "--count", "1")
    assert status == 0, err
    assert json.loads(out)["left_out"] == 2


def test_a_file_that_is_there_is_never_written_over(train, tmp_path):
    (tmp_path / "taken").write_text("mine")
    status, _, err = train("mend", "--out", tmp_path / "taken")
    assert status == 1
    assert "E_EXISTS" in err
    assert (tmp_path / "taken").read_text() == "mine"
    status, _, err = train("mend", "--out", tmp_path / "none" / "editor")
    assert status == 1
    assert "there is no folder" in err


def test_a_method_that_is_not_trained_says_so(say, base):
    status, _, err = say("method", "train", "rome", base, "--data", "counterfact")
    assert status == 1
    assert "rome is not trained" in err
    assert "weightpatch create rome BASE" in err


def test_data_sets_are_joined_and_only_their_training_halves_used(say, base, tmp_path):
    """Each file holds eight records: four of each are for training."""
    lines = (tmp_path / "records.jsonl").read_text()
    specs = [f"jsonl:{tmp_path / name}" for name in ("records.jsonl", "other.jsonl")]
    (tmp_path / "other.jsonl").write_text(lines.replace("Poland", "Pisa"))
    given = ("--data", specs[0], "--data", specs[1])
    for arguments, count in ((given[:2], 4), (given, 8), ((*given, "--count", "1"), 2)):
        line = ("method", "train", "mend", base, *arguments, *QUICK, "--json")
        status, out, err = say(*line)
        assert status == 0, err
        assert json.loads(out)["data"]["count"] == count


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give --data"),
        (("--data", "counterfact", "--requests", "records.jsonl"), "give --data"),
        (("--requests", "records.jsonl", "--count", "2"), "--count"),
        (("--requests", "records.jsonl", "--set", "steps"), "KEY=VALUE"),
    ],
)
def test_wrong_usage_is_told(say, base, tmp_path, monkeypatch, arguments, words):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    status, _, err = say("method", "train", "mend", base, *arguments)
    assert status == 2
    assert words in err
