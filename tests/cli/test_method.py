"""method list and method show: what there is, and what each can be told."""

import dataclasses
import json
from importlib.metadata import EntryPoint, EntryPoints

import pytest
import torch
from small_models import save_small_llama
from weightpatch.cli.commands import method
from weightpatch.cli.main import main
from weightpatch.patches import plugins
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import outline
from weightpatch.patches.methods.rome import RomeHyperparameters


@pytest.fixture
def say(monkeypatch, capsys, tmp_path):
    """Run a command in this process; gives its exit status and what it printed."""
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["weightpatch", *map(str, arguments)])
        status = main()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def base(tmp_path):
    """A checkpoint that says that it is as wide and deep as SmolLM2, and is not."""
    folder = save_small_llama(tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "hidden_size": 576, "num_hidden_layers": 30})
    )
    return folder


def test_all_methods_are_listed_with_their_papers(say):
    status, out, _ = say("method", "list", "--json")
    found = {each["name"]: each for each in json.loads(out)["methods"]}
    assert status == 0
    assert set(found) == set(plugins.BUILT_IN["methods"])
    assert "2202.05262" in found["rome"]["paper"]
    assert "2104.08696" in found["kn"]["paper"]
    assert {each["error"] for each in found.values()} == {None}
    status, out, _ = say("method", "list")
    assert status == 0
    assert all(each["title"] in out for each in found.values())


def test_a_method_that_cannot_be_loaded_is_listed_with_the_reason(say, monkeypatch):
    broken = EntryPoint("ours", "no.such.module:Method", "weightpatch.methods")
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda **wanted: EntryPoints([broken]).select(**wanted)
    )
    plugins.load.cache_clear()
    status, out, _ = say("method", "list")
    assert status == 0
    (line,) = [line for line in out.splitlines() if line.startswith("ours")]
    assert "cannot be loaded" in line
    assert "No module named 'no'" in line


def test_hyperparameters_are_shown_with_what_they_are_for(say):
    status, out, _ = say("method", "show", "rome", "--json")
    document = json.loads(out)
    found = {each["name"]: each for each in document["hyperparameters"]}
    assert status == 0
    assert document["paper"].startswith("Meng et al. 2022")
    assert list(found) == [field.name for field in dataclasses.fields(RomeHyperparameters)]
    assert found["layer"] == {
        "name": "layer",
        "default": None,
        "by_model": True,
        "explanation": "The layer whose MLP is edited, counted from 0.",
    }
    assert (found["steps"]["default"], found["steps"]["by_model"]) == (20, False)
    status, out, _ = say("method", "show", "rome")
    assert "by model" in out
    assert "consistent" in out


@pytest.mark.parametrize("name", ["mend", "ke"])
def test_of_a_trained_method_the_training_settings_are_shown_too(say, base, name):
    kind = plugins.load("methods", name).TrainingSettings
    status, out, _ = say("method", "show", name, "--json")
    assert status == 0
    listed = json.loads(out)["training"]
    assert [each["name"] for each in listed] == [field.name for field in dataclasses.fields(kind)]
    assert all(each["explanation"] for each in listed)
    assert {each["name"]: each["default"] for each in listed}["steps"] == kind().steps
    status, out, err = say("method", "show", name, base)
    assert status == 0, err
    assert f"weightpatch method train {name} BASE" in out
    (line,) = [line for line in out.splitlines() if line.startswith("evaluate_every")]
    assert line.split()[1] == "40"


def test_a_method_that_is_not_trained_has_no_training_settings(say):
    _, out, _ = say("method", "show", "rome", "--json")
    assert json.loads(out)["training"] is None
    _, out, _ = say("method", "show", "rome")
    assert "training" not in out


def test_with_a_base_the_defaults_are_those_for_it(say, base):
    status, out, err = say("method", "show", "rome", base, "--json")
    assert status == 0, err
    found = {each["name"]: each for each in json.loads(out)["hyperparameters"]}
    assert (found["layer"]["default"], found["layer"]["by_model"]) == (3, False)


def test_an_outline_has_shapes_and_no_weights(base):
    model = outline(Checkpoint.open(base))
    assert model.layer_count == 30
    assert model.weight(0).shape == (576, 48)
    assert {parameter.device for parameter in model.model.parameters()} == {torch.device("meta")}


def test_an_unknown_method_is_named_with_those_that_are_there(say):
    status, _, err = say("method", "show", "memory")
    assert status == 1
    assert "no method named 'memory'" in err
    assert "rome" in err


@pytest.mark.parametrize(
    ("value", "text"),
    [((4, 5), "4,5"), (True, "yes"), (False, "no"), (None, "none"), (0.5, "0.5"), ("mean", "mean")],
)
def test_values_are_written_as_set_takes_them(value, text):
    assert method.typed(value) == text
