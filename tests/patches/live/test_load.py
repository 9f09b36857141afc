"""A base and patches loaded at once: the model that a build would give."""

import json

import pytest
import torch
from live_models import bits
from neuron_fixtures import llama
from transformers import AutoModelForCausalLM
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import (
    BaseMismatch,
    CheckpointRefused,
    ConflictFound,
    PathRefused,
    Unsupported,
    WeightpatchError,
)
from weightpatch.patches.live import attach, load, patched

DOWN = "model.layers.1.mlp.down_proj.weight"
EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture
def base(tmp_path) -> Checkpoint:
    return llama(tmp_path / "base", dtype="bfloat16")


@pytest.fixture
def patch(pico, base):
    operations = {name: [pico.lowrank(base.tensors[name].shape)] for name in (DOWN, EMBEDDING)}
    return pico.patch(base, operations=operations)


@pytest.fixture
def other(pico, base):
    return pico.patch(base, "acme/two", operations={DOWN: [pico.lowrank((8, 12), seed=2)]})


@pytest.mark.parametrize("dtype", ["auto", torch.float32, torch.float64])
def test_it_is_the_model_of_the_build(pico, base, patch, other, dtype):
    build = AutoModelForCausalLM.from_pretrained(pico.built(base, [patch, other]), dtype=dtype)
    model = load(base.path, patches=[patch, other], dtype=dtype)
    assert model.dtype == build.dtype
    assert bits(model) == bits(build)
    assert not model.training


def test_its_type_is_the_checkpoints_own(base, patch):
    assert load(base, [patch]).dtype == torch.bfloat16


def test_tied_weights_stay_tied(base, patch):
    model = load(base, [patch])
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_more_can_be_attached_and_the_sum_is_still_one(pico, base, patch, other):
    model = load(str(base.path), [patch])
    with patched(model, other):
        build = AutoModelForCausalLM.from_pretrained(pico.built(base, [patch, other]), dtype="auto")
        assert bits(model) == bits(build)


def test_without_patches_it_is_the_base(base):
    assert bits(load(base)) == bits(AutoModelForCausalLM.from_pretrained(base.path, dtype="auto"))


def test_the_files_of_the_base_stay_as_they_are(base, patch):
    before = {file.name: file.read_bytes() for file in base.path.iterdir()}
    attach(load(base), patch)
    assert {file.name: file.read_bytes() for file in base.path.iterdir()} == before


def test_options_go_to_transformers(base, patch):
    model = load(base, [patch], attn_implementation="eager", device_map="cpu")
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize(
    "options",
    [
        {"trust_remote_code": True},
        {"quantization_config": {"load_in_4bit": True}},
        {"tp_plan": "auto"},
    ],
)
def test_options_that_bring_other_code_or_weights_are_refused(base, patch, options: dict):
    with pytest.raises(Unsupported, match="cannot be given") as refusal:
        load(base, [patch], **options)
    assert refusal.value.why


def test_an_option_that_nobody_knows_is_named(base, patch):
    with pytest.raises(Unsupported, match="dtyp is no option") as refusal:
        load(base, [patch], dtyp=torch.float32)
    assert "spelling" in refusal.value.hint


def test_patches_can_be_given_by_their_folders_and_one_by_itself(base, patch, other):
    folders = [one.files["patch.json"].parent for one in (patch, other)]
    assert bits(load(base, [str(folders[0]), folders[1]])) == bits(load(base, [patch, other]))
    alone = bits(load(base, [patch]))
    for given in (patch, folders[0], str(folders[0])):
        assert bits(load(base, given)) == alone


def test_a_folder_that_is_no_patch_is_refused(base, tmp_path):
    with pytest.raises(PathRefused, match="is not a folder"):
        load(base, str(tmp_path / "nothing"))


def test_weights_that_are_left_on_disk_are_refused(base, patch, tmp_path):
    options = {
        "device_map": {"model.embed_tokens": "cpu", "model.layers": "disk", "model.norm": "cpu",
                       "model.rotary_emb": "cpu", "lm_head": "cpu"},
        "offload_folder": tmp_path / "offload",
    }  # fmt: skip
    with pytest.raises(Unsupported, match="no weights in memory"):
        load(base, [patch], **options)


def test_another_base_is_refused_before_its_weights_are_read(pico, base, tmp_path, monkeypatch):
    elsewhere = pico.patch(pico.base("other"), operations={pico.DOWN: [pico.lowrank((6, 10))]})
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises(BaseMismatch):
        load(base, [elsewhere])


def test_patches_that_conflict_are_refused(base, patch):
    with pytest.raises(ConflictFound):
        load(base, [patch, patch])


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(CheckpointRefused):
        load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("adapter_config.json", {"base_model_name_or_path": "../elsewhere"}),
        ("config.json", {"model_type": "llama", "quantization_config": {"quant_method": "x"}}),
        ("config.json", {"model_type": "unheard-of", "auto_map": {"AutoConfig": "evil.Config"}}),
        ("config.json", {"model_type": "llama", "hidden_size": 16}),
    ],
)
def test_a_folder_that_is_no_plain_checkpoint_is_refused(base, file: str, content: dict):
    (base.path / file).write_text(json.dumps(content))
    with pytest.raises(WeightpatchError) as refusal:
        load(base.path)
    assert refusal.type in (CheckpointRefused, Unsupported)


def hashes(model: torch.nn.Module) -> dict[str, str]:
    return {name: sha256(found) for name, found in bits(model).items()}


@pytest.mark.slow
def test_a_real_model_is_that_of_the_build(pico, smollm2):
    base = Checkpoint.open(smollm2)
    name = "model.layers.3.mlp.down_proj.weight"
    operations = {name: [pico.lowrank(base.tensors[name].shape)]}
    patch = pico.patch(base, operations=operations)
    build = AutoModelForCausalLM.from_pretrained(pico.built(base, [patch]), dtype="auto")
    model = load(smollm2)
    before = hashes(model)
    attachment = attach(model, patch)
    assert hashes(model) == hashes(build)
    attachment.detach()
    assert hashes(model) == before
