"""What we push is a good citizen of the Hub: others find, read and fetch it, and none mistakes it.

The real `hf` command, the Hub's own reader of cards, and transformers look at one push.
"""

import json
import subprocess
import sys

import pytest
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import NotASafetensorsRepoError
from weightpatch.registry.sharing.exchange import push

NAME = "acme/tongues"
BASE = "org/Model"
FILES = {"README.md", "delta.safetensors", "patch.json", "requests.jsonl"}
once = pytest.mark.parametrize("transfer", ["lfs"])


@pytest.fixture
def pushed(hub, theirs, make_draft, make_evaluation):
    """A version with its scores on the Hub; what that took is forgotten."""
    info = theirs.publish(make_draft(NAME, base_id=BASE))
    theirs.record_evaluation(info.digest, "f" * 64, make_evaluation())
    push(theirs, info.label, "hf://", public=True, languages=["en"])
    hub.requests.clear()
    return theirs.patch(info.label)


def test_the_command_of_the_hub_finds_fetches_and_tags_it(pushed, hub, tmp_path, transfer):
    found, described, listed, _, _, tags = hf(
        ["models", "ls", "--filter", f"base_model:adapter:{BASE}", "--filter", "model-edit"],
        ["models", "info", NAME],
        ["models", "ls", NAME],
        ["download", NAME, "--revision", "v1", "--local-dir", str(tmp_path / "down")],
        ["repos", "tag", "create", NAME, "reviewed", "--revision", "v1"],
        ["repos", "tag", "ls", NAME],
    )

    assert [model["id"] for model in json.loads(found)] == [NAME]
    assert json.loads(described)["library_name"] == "weightpatch"
    assert {file["path"] for file in json.loads(listed)} >= FILES
    for name, path in pushed.files.items():
        assert (tmp_path / "down" / name).read_bytes() == path.read_bytes()
    assert "reviewed" in tags
    assert "v1" in tags
    assert hub[NAME].tags["reviewed"] == hub[NAME].tags["v1"]
    assert bool(hub.asked("GET", "^/v1/reconstructions/")) == (transfer == "xet")


@once
def test_the_card_says_what_the_hub_wants_to_know(pushed):
    card = ModelCard.load(NAME)

    data = card.data
    assert (data.base_model, data.base_model_relation) == (BASE, "adapter")
    assert (data.library_name, data.license, data.language) == ("weightpatch", "cc0-1.0", ["en"])
    assert {"model-edit", "edit-method:rome"} <= set(data.tags)
    assert {(one.metric_type, one.metric_value) for one in data.eval_results} == {
        ("locality.exact-match", 1.0),
        ("rome.es", 0.875),
    }
    card.validate()
    for line in (
        "pip install weightpatch",
        f"weightpatch pull hf://{NAME}@v1",
        "weightpatch apply",
    ):
        assert line in card.text


@once
def test_it_is_found_below_its_base(pushed):
    (found,) = HfApi().list_models(filter=[f"base_model:{BASE}"], full=True)

    assert found.id == NAME
    assert {f"base_model:adapter:{BASE}", "weightpatch", "license:cc0-1.0"} <= set(found.tags)


@once
def test_transformers_does_not_mistake_it_for_a_model(pushed, hub):
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    for kind in (AutoConfig, AutoModel, AutoTokenizer):
        with pytest.raises((OSError, ValueError)):
            kind.from_pretrained(NAME)
    assert not hub.asked("GET", r"^/storage/|delta\.safetensors|patch\.json")


@once
def test_the_hub_takes_its_delta_for_no_models_weights(pushed):
    with pytest.raises(NotASafetensorsRepoError):
        HfApi().get_safetensors_metadata(NAME)

    delta = HfApi().parse_safetensors_file_metadata(NAME, "delta.safetensors")
    assert all("::lowrank." in tensor for tensor in delta.tensors)


def hf(*commands: list[str]) -> list[str]:
    """Run the `hf` command several times in one process of its own; gives what each printed."""
    code = """
import contextlib, io, json, sys
from huggingface_hub.cli.hf import main
printed = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = [*arguments, "--json"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main()
        except SystemExit as end:
            assert not end.code, arguments
    printed.append(out.getvalue())
print(json.dumps(printed))
"""
    command = [sys.executable, "-c", code, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
