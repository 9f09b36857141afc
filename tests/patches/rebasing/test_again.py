"""The same requests made again: what is taken over from the manifest, and what cannot be."""

from dataclasses import replace

import pytest
import torch
from method_fixtures import MARIE
from small_models import save_small_llama
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import load_model, outline
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import BaseMismatch, PluginMissing, RequestRefused
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.rebasing.again import make_again, recipe_again, require_remakeable
from weightpatch.patches.rebasing.carry import REBASE, require_same_tokens

ORIGIN = Origin("acme/marie", author="ada", created="2026-01-31T12:00:00Z")
LAYER_2 = {"layer": "2", "steps": "3", "prefixes": "2", "prefix_length": "4", "shrinkage": "1"}
RESOURCES = Resources(KeyStatistics())


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The folders of a small model, of the same a little later, and of a deeper one."""
    root = tmp_path_factory.mktemp("models")
    base = save_small_llama(root / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    later = LlamaForCausalLM.from_pretrained(base)
    config = LlamaConfig.from_pretrained(base, num_hidden_layers=20)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in later.parameters():
            parameter.add_(torch.randn_like(parameter) * 1e-3)
        deeper = LlamaForCausalLM(config)
    for model, name in ((later, "later"), (deeper, "deeper")):
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    return root


@pytest.fixture(scope="module")
def models(places):
    return {
        name: load_model(Checkpoint.open(places / name)) for name in ("base", "later", "deeper")
    }


@pytest.fixture(scope="module")
def patch(models, tmp_path_factory) -> Patch:
    """A ROME edit of layer 2 of the base, with sampled prefixes."""
    folder = tmp_path_factory.mktemp("patch")
    recipe = Recipe("rome", LAYER_2, seed=7)
    return make(folder, models["base"], [MARIE], recipe, ORIGIN, RESOURCES).as_patch()


def changed(patch: Patch, **changes: object) -> Patch:
    method = replace(patch.manifest.method, **changes)
    return replace(patch, manifest=replace(patch.manifest, method=method))


def again(patch, model, folder, old=None, settings=None) -> Patch:
    found = recipe_again(patch, model, old, settings or {})
    return make_again(folder, patch, model, found, ORIGIN, RESOURCES).as_patch()


def bytes_in(patch: Patch) -> object:
    return {
        (name, index, part): values[:].tobytes()
        for name, operations in patch.operations.items()
        for index, operation in enumerate(operations)
        for part, values in operation.parts.items()
    }


def test_on_its_own_base_the_same_delta_comes_out(patch, models, tmp_path):
    found = again(patch, models["base"], tmp_path)
    assert bytes_in(found) == bytes_in(patch)
    assert found.manifest.parents == (patch.digest,)


def test_on_another_revision_it_is_another_delta_by_the_same_recipe(patch, models, tmp_path):
    found = again(patch, models["later"], tmp_path)
    assert bytes_in(found) != bytes_in(patch)
    made, before = found.manifest.method, patch.manifest.method
    assert made.hyperparameters == before.hyperparameters
    assert made.seed == before.seed
    assert made.sampled[REBASE] == {"how": "again", "from": patch.digest, "left": {}}
    assert len(made.sampled["prefixes"]) == len(before.sampled["prefixes"])
    assert found.auxiliary.keys() == patch.auxiliary.keys()


def test_a_layer_is_not_taken_over_to_a_model_of_another_depth(patch, models, places, tmp_path):
    old = outline(Checkpoint.open(places / "base"))
    found = again(patch, models["deeper"], tmp_path, old)
    method = found.manifest.method
    assert method.hyperparameters["layer"] == 3
    assert method.hyperparameters["steps"] == 3
    assert method.sampled[REBASE]["left"] == {"layer": 2}


def test_without_the_old_base_it_is_taken_over_where_the_tensors_are(patch, models):
    assert recipe_again(patch, models["deeper"], None, {}).recipe.settings["layer"] == "2"
    (tensor,) = patch.manifest.bases[0].tensors
    deep = replace(
        patch.manifest.bases[0],
        tensors={"model.layers.99.mlp.down_proj.weight": patch.manifest.bases[0].tensors[tensor]},
    )
    elsewhere = replace(patch, manifest=replace(patch.manifest, bases=(deep,)))
    found = recipe_again(elsewhere, models["deeper"], None, {})
    assert "layer" not in found.recipe.settings
    assert found.left == {"layer": 2}


def test_what_the_user_sets_comes_first(patch, models):
    found = recipe_again(patch, models["later"], None, {"layer": "1", "steps": "9"})
    assert found.recipe.settings["layer"] == "1"
    assert found.recipe.settings["steps"] == "9"
    assert not found.left


def test_a_hyperparameter_that_the_method_does_not_know_any_more_is_left_out(patch, models):
    old = {**patch.manifest.method.hyperparameters, "warmth": 0.9}
    found = recipe_again(changed(patch, hyperparameters=old), models["later"], None, {})
    assert found.left == {"warmth": 0.9}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", "many"),
        ("steps", -1),
        ("steps", 10**12),
        ("layer", 400),
        ("layer", [1, 2]),
        ("layer", None),
        ("consistent", {"a": 1}),
        ("shrinkage", "nan"),
    ],
)
def test_a_hostile_manifest_is_refused_as_a_user_would_be(patch, models, tmp_path, name, value):
    said = {**patch.manifest.method.hyperparameters, name: value}
    with pytest.raises(RequestRefused):
        again(changed(patch, hyperparameters=said), models["base"], tmp_path)


@pytest.mark.parametrize("name", ["compose", "extract", "peft"])
def test_what_no_request_has_made_cannot_be_made_again(patch, name):
    with pytest.raises(RequestRefused, match=f"made by {name} cannot") as caught:
        require_remakeable(changed(patch, name=name).manifest.method)
    assert "--how carry" in caught.value.hint


def test_nor_can_what_a_method_made_that_is_not_installed(patch):
    with pytest.raises(PluginMissing):
        require_remakeable(changed(patch, name="telepathy").manifest.method)


def test_a_tokenizer_of_the_same_tokens_is_as_good(patch, models, places, tmp_path):
    spaced = copy_with_tokenizer(places / "base", tmp_path / "spaced", lambda text: f"{text}\n")
    other = copy_with_tokenizer(
        places / "base",
        tmp_path / "other",
        lambda text: text.replace('"English"', '"Engl"').replace('"Pisa"', '"English"'),
    )
    old = outline(Checkpoint.open(places / "base"))
    require_same_tokens(patch, models["base"], None)
    require_same_tokens(patch, outline(spaced), old)
    with pytest.raises(BaseMismatch) as caught:
        require_same_tokens(patch, outline(spaced), None)
    assert "without the old base" in caught.value.why
    with pytest.raises(BaseMismatch) as caught:
        require_same_tokens(patch, outline(other), old)
    assert "' English' as other tokens" in caught.value.why


def copy_with_tokenizer(base, folder, change) -> Checkpoint:
    folder.mkdir()
    for file in base.iterdir():
        if file.name != "tokenizer.json":
            (folder / file.name).symlink_to(file)
    text = (base / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(change(text))
    return Checkpoint.open(folder)
