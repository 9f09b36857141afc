"""method train: an editor is made once, and `create` finds it."""

import json

import pytest
from small_models import save_small_llama
from weightpatch.cli.main import main
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
    assert file.name.startswith(f"{method}-")
    assert f"sha256:{sha256_file(file)}" in out
    assert "8 records, 2 steps" in out
    assert "reliability" in out
    assert say("init")[0] == 0
    status, out, err = say("create", method, base, "--name", "acme/one", *REQUEST, "--json")
    assert status == 0, err
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


def test_a_file_that_is_there_is_never_written_over(train, tmp_path):
    (tmp_path / "taken").write_text("mine")
    status, _, err = train("mend", "--out", tmp_path / "taken")
    assert status == 1
    assert "E_EXISTS" in err
    assert (tmp_path / "taken").read_text() == "mine"
    status, _, err = train("mend", "--out", tmp_path / "none" / "editor")
    assert status == 1
    assert "is not a folder" in err


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
