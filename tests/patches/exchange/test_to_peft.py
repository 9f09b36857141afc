import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import BaseMismatch, PathRefused, TargetExists, Unsupported
from weightpatch.patches.exchange.adapter import Adapter
from weightpatch.patches.exchange.from_peft import take_in
from weightpatch.patches.exchange.to_peft import to_peft
from weightpatch.patches.live import patched

TENSORS = {
    "llama": ["model.layers.0.mlp.down_proj.weight", "model.layers.1.self_attn.q_proj.weight"],
    "gpt2": ["transformer.h.0.attn.c_attn.weight", "transformer.h.1.mlp.c_proj.weight"],
    "bare": ["h.0.attn.c_proj.weight", "h.1.mlp.c_proj.weight"],
}


def lowrank(pico, base: Checkpoint, name: str, rank: int, seed: int = 1):
    return pico.lowrank(base.tensors[name].shape, rank=rank, seed=seed)


def stored_parts(operations) -> dict:
    """Every bit of the factors, by tensor and operation."""
    return {
        (name, index, part): values[:].tobytes()
        for name, found in operations.items()
        for index, each in enumerate(found)
        for part, values in each.parts.items()
    }


def loaded(base: Checkpoint, folder: Path) -> PeftModel:
    """PEFT's own way, which may not even warn."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base.path, dtype="auto").eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what PEFT asks transformers for
        return PeftModel.from_pretrained(model, folder).eval()


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("shape", TENSORS)
def test_export_and_import_give_the_same_factors_bit_for_bit(bench, pico, shape, dtype):
    base = bench.base(shape, dtype)
    one, two = TENSORS[shape]
    operations = {
        one: [lowrank(pico, base, one, 3), lowrank(pico, base, one, 1, seed=5)],
        two: [lowrank(pico, base, two, 2)],
    }
    patch = bench.patch(pico, base, operations)
    exported = to_peft(patch, base, bench.root / "adapter")
    taken = take_in(Adapter.open(bench.root / "adapter"), base)
    assert exported.rank == 4
    assert stored_parts(taken.operations) == stored_parts(patch.operations)
    again = bench.patch_of(base, Adapter.open(bench.root / "adapter"), taken, "again")
    assert again.manifest.bases[0].result == patch.manifest.bases[0].result
    assert taken.notes == []


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("shape", TENSORS)
def test_peft_merges_it_to_our_weights_to_one_unit(bench, pico, shape, dtype):
    base = bench.base(shape, dtype)
    names = TENSORS[shape]
    found = {name: [lowrank(pico, base, name, 1 + place)] for place, name in enumerate(names)}
    patch = bench.patch(pico, base, found)
    to_peft(patch, base, bench.root / "adapter")
    merged = loaded(base, bench.root / "adapter").merge_and_unload()
    assert bench.difference(base, patch, merged) <= 1


@pytest.mark.parametrize("shape", TENSORS)
def test_peft_s_model_answers_as_the_patched_one(bench, pico, shape):
    base = bench.base(shape)
    patch = bench.patch(
        pico, base, {name: [lowrank(pico, base, name, 2)] for name in TENSORS[shape]}
    )
    to_peft(patch, base, bench.root / "adapter")
    adapted, model = loaded(base, bench.root / "adapter"), bench.model(base)
    tokens = torch.tensor([[1, 7, 3, 11, 2]])
    with torch.no_grad():
        plain = model(tokens).logits
        with patched(model, patch):
            ours = model(tokens).logits
        theirs = adapted(tokens).logits
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-4)
    assert (ours - plain).abs().max() > 0.1


def test_untied_embeddings_and_head_are_adapted(bench, pico):
    base = bench.base()
    names = ["model.embed_tokens.weight", "lm_head.weight"]
    patch = bench.patch(pico, base, {name: [lowrank(pico, base, name, 2)] for name in names})
    to_peft(patch, base, bench.root / "adapter")
    taken = take_in(Adapter.open(bench.root / "adapter"), base)
    assert stored_parts(taken.operations) == stored_parts(patch.operations)
    assert (
        bench.difference(base, patch, loaded(base, bench.root / "adapter").merge_and_unload()) <= 1
    )


def test_the_settings_are_those_that_simple_servers_know(bench, pico):
    base = bench.base()
    one, two = TENSORS["llama"]
    patch = bench.patch(
        pico, base, {one: [lowrank(pico, base, one, 4)], two: [lowrank(pico, base, two, 2)]}
    )
    to_peft(patch, base, bench.root / "adapter")
    config = json.loads((bench.root / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["bias"]) == (4, 4, "none")
    assert config["rank_pattern"] == config["alpha_pattern"] == {two.removesuffix(".weight"): 2}
    assert config["target_modules"] == sorted(each.removesuffix(".weight") for each in (one, two))
    assert config["base_model_name_or_path"] == "base"
    assert not config["modules_to_save"]
    assert not config["fan_in_fan_out"]


@pytest.mark.parametrize("kind", ["sparse", "dense", "replace"])
def test_anything_but_low_rank_is_refused_by_tensor_and_operation(bench, pico, kind):
    base = bench.base()
    name = TENSORS["llama"][0]
    shape = base.tensors[name].shape
    made = {"sparse": pico.sparse, "dense": pico.dense, "replace": pico.replaced}[kind](shape)
    patch = bench.patch(pico, base, {name: [made]})
    with pytest.raises(Unsupported, match=f"{name} by `{kind}`") as caught:
        to_peft(patch, base, bench.root / "adapter")
    assert "--to safetensors" in caught.value.hint
    assert not (bench.root / "adapter").exists()


def test_shared_weights_are_refused(bench, pico):
    base = bench.base(tie_word_embeddings=True)
    name = "model.embed_tokens.weight"
    patch = bench.patch(pico, base, {name: [lowrank(pico, base, name, 1)]})
    with pytest.raises(Unsupported, match=r"is also lm_head\.weight"):
        to_peft(patch, base, bench.root / "adapter")


def test_another_base_and_an_unknown_architecture_are_refused(bench, pico, tmp_path):
    base = bench.base()
    name = TENSORS["llama"][0]
    patch = bench.patch(pico, base, {name: [lowrank(pico, base, name, 1)]})
    other = type(bench)(tmp_path / "other")
    with pytest.raises(BaseMismatch):
        to_peft(patch, other.base(dtype="BF16"), bench.root / "adapter")
    base.config["model_type"] = "unheard-of"
    with pytest.raises(Unsupported, match="unheard-of"):
        to_peft(patch, base, bench.root / "adapter")


def test_what_is_there_is_exchanged_only_if_told_and_only_if_it_is_an_adapter(bench, pico):
    base = bench.base()
    name = TENSORS["llama"][0]
    patch = bench.patch(pico, base, {name: [lowrank(pico, base, name, 1)]})
    to_peft(patch, base, bench.root / "adapter")
    with pytest.raises(TargetExists):
        to_peft(patch, base, bench.root / "adapter")
    to_peft(patch, base, bench.root / "adapter", force=True)
    (bench.root / "adapter" / "thesis.txt").write_text("years of work")
    with pytest.raises(TargetExists, match="not the folder of an adapter alone"):
        to_peft(patch, base, bench.root / "adapter", force=True)
    with pytest.raises(TargetExists, match="not the folder of an adapter alone"):
        to_peft(patch, base, base.path, force=True)
    assert (bench.root / "adapter" / "thesis.txt").read_text() == "years of work"


def test_a_link_and_a_folder_in_an_adapter_are_left_alone(bench, pico):
    base = bench.base()
    name = TENSORS["llama"][0]
    patch = bench.patch(pico, base, {name: [lowrank(pico, base, name, 1)]})
    to_peft(patch, base, bench.root / "adapter")
    (bench.root / "link").symlink_to("adapter")
    (bench.root / "dangling").symlink_to("nowhere")
    for link in ("link", "dangling"):
        with pytest.raises(TargetExists, match="not the folder of an adapter alone"):
            to_peft(patch, base, bench.root / link, force=True)
        assert (bench.root / link).is_symlink()
    (bench.root / "adapter" / "README.md").mkdir()
    (bench.root / "adapter" / "README.md" / "thesis.txt").write_text("years of work")
    with pytest.raises(TargetExists, match="not the folder of an adapter alone"):
        to_peft(patch, base, bench.root / "adapter", force=True)
    assert (bench.root / "adapter" / "README.md" / "thesis.txt").is_file()


def test_no_adapter_is_written_into_base_or_patch(bench, pico):
    base = bench.base()
    name = TENSORS["llama"][0]
    patch = bench.patch(pico, base, {name: [lowrank(pico, base, name, 1)]})
    for folder in (base.path, patch.files["patch.json"].parent):
        before = sorted(folder.iterdir())
        with pytest.raises(PathRefused, match="which is only read"):
            to_peft(patch, base, folder / "adapter")
        assert sorted(folder.iterdir()) == before


names = st.lists(
    st.from_regex(r"[a-z_]{1,6}(\.[a-z0-9_]{1,6}){0,3}", fullmatch=True),
    min_size=1,
    max_size=4,
    unique_by=lambda name: name.lower(),
)


@settings(max_examples=60, deadline=None)
@given(names=names, data=st.data())
def test_any_names_and_ranks_come_back(pico_factory, names, data):
    """Modules of any names below the decoder, each with operations of any ranks."""
    with tempfile.TemporaryDirectory() as folder:
        pico = pico_factory(Path(folder))
        tensors = {
            f"model.{name}.weight": pico.values(
                tuple(data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))), "F32", 1
            )
            for name in names
        }
        base = pico.base_of(tensors)
        config = '{"model_type": "llama", "tie_word_embeddings": false}'
        (base.path / "config.json").write_text(config)
        base = Checkpoint.open(base.path)
        ranks = st.lists(st.integers(1, 4), min_size=1, max_size=3)
        operations = {
            name: [
                pico.lowrank(array.shape, rank=rank, seed=seed)
                for seed, rank in enumerate(data.draw(ranks))
            ]
            for name, array in tensors.items()
        }
        patch = pico.patch(base, operations=operations)
        to_peft(patch, base, pico.root / "adapter")
        taken = take_in(Adapter.open(pico.root / "adapter"), base)
        assert stored_parts(taken.operations) == stored_parts(patch.operations)


@pytest.fixture(scope="module")
def pico_factory():
    from pico_fixtures import Pico

    return Pico


@pytest.mark.slow
def test_an_edit_of_smollm2_by_lora_is_served_by_peft(smollm2, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from weightpatch.patches.checkpoints.models import load_model
    from weightpatch.patches.draft import Origin
    from weightpatch.patches.make import Recipe, make
    from weightpatch.patches.methods.base import Resources
    from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
    from weightpatch.patches.requests import EditRequest

    base = Checkpoint.open(smollm2)
    request = EditRequest("The mother tongue of {} is", "Danielle Darrieux", "English")
    (tmp_path / "patch").mkdir()
    patch = make(
        tmp_path / "patch",
        load_model(base),
        [request],
        Recipe("lora", {"steps": "8"}),
        Origin("acme/darrieux", author="ada", created="2026-01-31T12:00:00Z"),
        Resources(KeyStatistics()),
    ).as_patch()
    to_peft(patch, base, tmp_path / "adapter")
    tokens = AutoTokenizer.from_pretrained(smollm2)(request.text, return_tensors="pt")
    adapted = loaded(base, tmp_path / "adapter")
    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype="auto").eval()
    with torch.no_grad():
        plain = model(**tokens).logits[0, -1].float()
        with patched(model, patch):
            ours = model(**tokens).logits[0, -1].float()
        theirs = adapted(**tokens).logits[0, -1].float()
    assert (ours - plain).abs().max() > 2
    np.testing.assert_allclose(theirs.numpy(), ours.numpy(), atol=0.5)
