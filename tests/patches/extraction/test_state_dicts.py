"""Patch.from_models and from_state_dicts: what anything made of a model comes in as a patch."""

import copy
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
import weightpatch
from neuron_fixtures import FAMILIES, gpt2, llama
from pico_fixtures import Pico, write_weights
from transformers import AutoModelForCausalLM
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import (
    BaseMismatch,
    CheckpointRefused,
    DigestMismatch,
    ManifestError,
    NameRefused,
    NonFinite,
    TargetExists,
    TooBig,
    Unsupported,
)
from weightpatch.patches.extraction.state_dicts import draft_from
from weightpatch.patches.format.patch import Patch
from weightpatch.registry.registry import Registry

DOWN = "model.layers.0.mlp.down_proj.weight"
GIVEN = {
    "requests": [{"prompt": "The capital of {} is", "subject": "France", "target": "Lyon"}],
    "name": "acme/lyon",
    "author": "ada",
    "created": datetime(2026, 1, 31, 12, tzinfo=UTC),
}


def edited(model, name=DOWN):
    """What EasyEdit's `BaseEditor.edit` gives back: the model with a row of a weight rewritten."""
    with torch.no_grad():
        parameter = model.get_parameter(name)
        values = torch.linspace(-1, 1, parameter.shape[0], dtype=parameter.dtype)
        parameter += 0.1 * torch.outer(values, torch.ones_like(parameter[0]))
    return model


def saved_digest(base, model, name=DOWN):
    """The digest that the weight has when transformers saves the model in the base's type."""
    folder = base.path.parent / "saved"
    copy.deepcopy(model).to(getattr(torch, base.config["dtype"])).save_pretrained(folder)
    return Checkpoint.open(folder).digest(name)


@pytest.mark.parametrize("loaded", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kept", ["bfloat16", "float32"])
def test_a_model_that_was_edited_in_its_own_type_or_a_wider_one(tmp_path, loaded, kept):
    base = llama(tmp_path / "base", dtype=kept)
    if (kept, loaded) == ("float32", torch.bfloat16):
        loaded = torch.float64
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=loaded)
    before = copy.deepcopy(model)
    draft = Patch.from_models(before, edited(model), tmp_path / "patch", base=base, **GIVEN)
    assert draft.manifest.bases[0].result == {DOWN: saved_digest(base, model)}
    assert draft.manifest.created == "2026-01-31T12:00:00Z"
    apply(base, [Patch.open(tmp_path / "patch")], tmp_path / "build")


def test_nothing_is_changed_in_the_models(tmp_path):
    base = llama(tmp_path / "base", dtype="bfloat16")
    model = edited(AutoModelForCausalLM.from_pretrained(base.path))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    Patch.from_models(None, model, tmp_path / "patch", base=base.path, **GIVEN)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_the_draft_can_be_published_and_attached(tmp_path):
    base = llama(tmp_path / "base", dtype="bfloat16")
    model = edited(weightpatch.load(base.path))
    draft = Patch.from_models(None, model, tmp_path / "patch", base=base, **GIVEN)
    with Registry.create(home=tmp_path / "home", actor="tester") as registry:
        assert registry.publish(draft).label == "acme/lyon@1"
    with weightpatch.patched(weightpatch.load(base.path), tmp_path / "patch") as again:
        assert torch.equal(again.get_parameter(DOWN), model.get_parameter(DOWN))


@pytest.mark.parametrize("family", FAMILIES)
def test_state_dicts_of_every_family(tmp_path, family):
    base = FAMILIES[family](tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base.path)
    name = next(name for name in base.tensors if "mlp" in name and name.endswith("proj.weight"))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    after = edited(model, name).state_dict()
    draft = Patch.from_state_dicts(before, after, tmp_path / "patch", base=base, **GIVEN)
    assert list(draft.manifest.operations) == [name]


def test_a_base_without_the_name_of_the_decoder(tmp_path):
    whole = gpt2(tmp_path / "whole")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_bytes((whole.path / "config.json").read_bytes())
    bare = {name.removeprefix("transformer."): whole.read(name) for name in whole.tensors}
    bare["h.0.attn.bias"] = np.ones((1, 1, 4, 4), np.float32)
    write_weights(tmp_path / "base" / "model.safetensors", bare)
    model = AutoModelForCausalLM.from_pretrained(whole.path)
    after = edited(model, "transformer.h.1.mlp.c_proj.weight")
    draft = Patch.from_models(None, after, tmp_path / "patch", base=tmp_path / "base", **GIVEN)
    assert list(draft.manifest.operations) == ["h.1.mlp.c_proj.weight"]


def test_only_what_was_changed_will_do_and_numpy_too(pico):
    base = pico.base(dtype="BF16")
    values = (base.read(pico.DOWN).astype(np.uint32) << 16).view(np.float32)
    values[2] *= 2
    after = {pico.DOWN: values.astype(np.float64)}
    draft = Patch.from_state_dicts(None, after, pico.root / "patch", base=base, **GIVEN)
    expected = base.read(pico.DOWN)
    expected[2] = (values[2].view(np.uint32) >> 16).astype(np.uint16)
    again = pico.base_of({**pico.tensors(), pico.DOWN: expected}, "again")
    assert draft.manifest.bases[0].result == {pico.DOWN: again.digest(pico.DOWN)}


def test_a_model_of_another_base_is_refused(tmp_path):
    base = llama(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base.path)
    before = edited(copy.deepcopy(model), "model.layers.2.mlp.up_proj.weight")
    with pytest.raises(BaseMismatch, match="up_proj"):
        Patch.from_models(before, edited(model), tmp_path / "patch", base=base, **GIVEN)


def test_an_edit_in_a_narrower_type_is_refused(tmp_path):
    base = llama(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.bfloat16)
    with pytest.raises(BaseMismatch, match="BF16, and the base has F32"):
        Patch.from_models(None, edited(model), tmp_path / "patch", base=base, **GIVEN)


def test_an_edit_that_rounding_undoes_is_no_edit(tmp_path):
    base = llama(tmp_path / "base", dtype="bfloat16")
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    with torch.no_grad():
        model.get_parameter(DOWN).mul_(1 + 2**-12)
    with pytest.raises(CheckpointRefused, match="are the same"):
        Patch.from_models(None, model, tmp_path / "patch", base=base, **GIVEN)


def test_tied_embeddings_stay_one_tensor(tmp_path):
    base = llama(tmp_path / "base")
    model = edited(AutoModelForCausalLM.from_pretrained(base.path), "lm_head.weight")
    draft = Patch.from_models(None, model, tmp_path / "patch", base=base, **GIVEN)
    assert list(draft.manifest.operations) == ["model.embed_tokens.weight"]


def test_untied_embeddings_are_refused(tmp_path):
    base = llama(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base.path)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() + 1)
    with pytest.raises(Unsupported, match="lm_head"):
        Patch.from_models(None, model, tmp_path / "patch", base=base, **GIVEN)


def test_a_layer_that_was_added_is_refused(tmp_path):
    base = llama(tmp_path / "base")
    model = edited(AutoModelForCausalLM.from_pretrained(base.path))
    model.model.layers[0].memory = torch.nn.Linear(2, 2)
    with pytest.raises(CheckpointRefused) as error:
        Patch.from_models(None, model, tmp_path / "patch", base=base, **GIVEN)
    assert "memory.weight" in error.value.why


def test_weights_that_are_not_in_memory_are_refused(tmp_path):
    base = llama(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base.path).to("meta")
    with pytest.raises(Unsupported, match="memory"):
        Patch.from_models(None, model, tmp_path / "patch", base=base, **GIVEN)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_numbers_that_do_not_fit_are_refused_by_name(pico, value):
    base = pico.base(dtype="F16")
    after = {pico.DOWN: np.full((6, 10), value, np.float32)}
    with pytest.raises(NonFinite, match=pico.DOWN):
        Patch.from_state_dicts(None, after, pico.root / "patch", base=base, **GIVEN)


@pytest.mark.parametrize(
    "value", [np.ones((6, 10), np.int8), [[1.0]], torch.ones(6, 10).to_sparse()]
)
def test_what_is_no_plain_tensor_of_numbers_is_refused(pico, value):
    with pytest.raises(Unsupported, match=pico.DOWN):
        Patch.from_state_dicts(
            None, {Pico.DOWN: value}, pico.root / "patch", base=pico.base(), **GIVEN
        )


def test_a_folder_with_something_in_it_is_left_alone(pico):
    after = {pico.DOWN: pico.values((6, 10), "F32", 5)}
    with pytest.raises(TargetExists):
        Patch.from_state_dicts(None, after, pico.base().path, base=pico.root / "base", **GIVEN)


def test_what_was_refused_can_be_tried_again_in_the_same_folder(pico):
    base, values = pico.base(), pico.values((6,), "F32", 5)
    with pytest.raises(TooBig):
        Patch.from_state_dicts(
            None, {pico.NORM: values * 1e9}, pico.root / "patch", base=base, **GIVEN
        )
    after = {pico.NORM: values}
    assert Patch.from_state_dicts(None, after, pico.root / "patch", base=base, **GIVEN)


def test_a_bad_name_is_refused_before_the_work(pico):
    with pytest.raises(NameRefused):
        Patch.from_state_dicts(
            None, {}, pico.root / "patch", base=pico.base(), **{**GIVEN, "name": "Bad"}
        )


def test_a_time_without_its_zone_is_refused(pico):
    given = {**GIVEN, "created": datetime(2026, 1, 31)}
    with pytest.raises(ManifestError, match="zone"):
        Patch.from_state_dicts(None, {}, pico.root / "patch", base=pico.base(), **given)


@pytest.mark.parametrize(("name", "torn"), [(Pico.NORM, True), (Pico.DOWN, False)])
def test_a_base_that_changes_meanwhile_is_refused_where_it_should_be_the_same(pico, name, torn):
    """What the patch puts in the place of old bits it gives on the new base, too."""
    base = pico.base(dtype="F32")
    state = pico.tensors("F32") | {Pico.DOWN: pico.tensors("F32", seed=1)[Pico.DOWN]}
    now = pico.tensors("F32") | {name: pico.tensors("F32", seed=2)[name]}

    def told(what: str, done: int, _: int) -> None:
        if (what, done) == ("finding operations", 0):
            write_weights(base.files[0], now)

    def draft():
        origin = Origin("acme/found", author="ada", created="2026-01-31T12:00:00Z")
        requests = GIVEN["requests"]
        return draft_from(None, state, pico.root / "out", base, requests, origin, progress=told)

    if torn:
        with pytest.raises(DigestMismatch, match="would not give the edited model"):
            draft()
        assert not list((pico.root / "out").iterdir())
    else:
        assert list(draft().manifest.operations) == [Pico.DOWN]
