from dataclasses import replace

import numpy as np
import pytest
import torch
from weightpatch.patches.errors import (
    BaseMismatch,
    FormatError,
    NonFinite,
    RequestRefused,
    ShapeMismatch,
    Unsupported,
)
from weightpatch.patches.exchange.adapter import Adapter
from weightpatch.patches.exchange.from_peft import take_in

TARGETS = {
    "llama": ["q_proj", "v_proj", "down_proj"],
    "gpt2": ["c_attn", "mlp.c_proj"],
    "bare": ["c_attn", "mlp.c_proj"],
}
SETTINGS = {
    "plain": {"r": 4, "lora_alpha": 10},
    "rslora": {"r": 3, "lora_alpha": 7, "use_rslora": True},
    "patterns": {
        "r": 2,
        "lora_alpha": 3,
        "rank_pattern": {"q_proj": 5, r"h\.1\.attn\.c_attn": 5},
        "alpha_pattern": {".*1.mlp.*": 9, "layers.0.self_attn.v_proj": 1},
    },
}


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("shape", TARGETS)
def test_the_weights_are_those_of_peft_s_own_merge_to_one_unit(bench, shape, kind, dtype):
    base = bench.base(shape, dtype)
    adapted = bench.adapted(base, target_modules=TARGETS[shape], **SETTINGS[kind])
    patch = bench.patch_of(base, Adapter.open(bench.saved(adapted)))
    assert len(patch.operations) == 2 * len(TARGETS[shape])
    assert bench.difference(base, patch, adapted.merge_and_unload()) <= 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_an_adapter_in_half_precision_comes_in_as_it_is_stored(bench, dtype):
    base = bench.base()
    adapted = bench.adapted(base, target_modules=["q_proj"], r=2, lora_alpha=4).to(dtype)
    taken = take_in(Adapter.open(bench.saved(adapted)), base)
    stored = adapted.base_model.model.model.layers[1].self_attn.q_proj
    (operation,) = taken.operations["model.layers.1.self_attn.q_proj.weight"]
    up = stored.lora_B["default"].weight.detach().double().numpy()
    np.testing.assert_array_equal(operation.parts["A"], 2 * up)


def test_embeddings_and_a_head_of_its_own_are_taken_in(bench):
    base = bench.base("llama", "BF16")
    adapted = bench.adapted(base, target_modules=["embed_tokens", "lm_head"], lora_alpha=5)
    patch = bench.patch_of(base, Adapter.open(bench.saved(adapted)))
    assert sorted(patch.operations) == ["lm_head.weight", "model.embed_tokens.weight"]
    assert bench.difference(base, patch, adapted.merge_and_unload()) <= 1


def test_biases_that_were_trained_along_are_taken_in(bench):
    base = bench.base("gpt2", "F32")
    adapted = bench.adapted(base, target_modules=["c_attn"], bias="all")
    patch = bench.patch_of(base, Adapter.open(bench.saved(adapted)))
    kinds = {name: found[0].kind for name, found in patch.operations.items()}
    assert kinds["transformer.h.0.ln_1.bias"] == "replace"
    assert kinds["transformer.h.0.attn.c_attn.weight"] == "lowrank"
    assert bench.difference(base, patch, adapted.merge_and_unload()) <= 1


def test_a_bias_of_the_factors_is_added_to_that_of_the_module(bench):
    base = bench.base(attention_bias=True)
    adapted = bench.adapted(base, target_modules=["q_proj"], lora_bias=True, lora_alpha=5)
    patch = bench.patch_of(base, Adapter.open(bench.saved(adapted)))
    (change,) = patch.operations["model.layers.0.self_attn.q_proj.bias"]
    assert change.kind == "dense"
    assert bench.difference(base, patch, adapted.merge_and_unload()) <= 1


def test_whole_modules_that_were_saved_replace_those_of_the_base(bench):
    base = bench.base("llama", "F16")
    adapted = bench.adapted(base, target_modules=["q_proj"], modules_to_save=["lm_head", "norm"])
    patch = bench.patch_of(base, Adapter.open(bench.saved(adapted)))
    assert patch.operations["lm_head.weight"][0].kind == "replace"
    assert patch.operations["model.norm.weight"][0].kind == "replace"
    assert bench.difference(base, patch, adapted.merge_and_unload()) <= 1


def test_a_rank_above_512_becomes_several_operations(bench):
    base = bench.base()
    adapter = bench.adapter(base, target_modules=["q_proj"], r=700, lora_alpha=700)
    (first, second) = take_in(adapter, base).operations["model.layers.0.self_attn.q_proj.weight"]
    assert (first.size, second.size) == (512, 188)


def test_a_model_without_its_head_lends_its_adapter_to_the_one_that_has_it(bench, tmp_path):
    base = bench.base()
    adapter = bench.adapter(base, target_modules=["q_proj"])
    bare = {
        name.replace(".model.model.", ".model."): array for name, array in adapter.tensors.items()
    }
    other = Adapter(adapter.folder, adapter.config, bare, {}, adapter.digests, adapter.stamp)
    assert sorted(take_in(other, base).operations) == sorted(take_in(adapter, base).operations)


def test_the_manifest_tells_the_settings_and_the_files_by_digest(bench):
    base = bench.base()
    adapter = bench.adapter(base, target_modules=["q_proj"], r=2, lora_alpha=3, use_rslora=True)
    method = bench.patch_of(base, adapter).manifest.method
    assert method.name == "peft"
    assert method.hyperparameters["target_modules"] == ["q_proj"]
    assert (method.hyperparameters["r"], method.hyperparameters["lora_alpha"]) == (2, 3)
    assert method.hyperparameters["use_rslora"] is True
    assert [dict(each) for each in method.statistics] == [
        {"name": name, "sha256": digest} for name, digest in adapter.digests.items()
    ]


def test_an_untrained_adapter_changes_nothing_and_is_refused(bench):
    base = bench.base()
    adapted = bench.adapted(base, target_modules=["q_proj"])
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.zero_()
    with pytest.raises(RequestRefused, match="changes nothing"):
        take_in(Adapter.open(bench.saved(adapted)), base)


def test_factors_that_are_not_finite_are_refused(bench):
    base = bench.base()
    adapted = bench.adapted(base, target_modules=["q_proj"])
    next(p for n, p in adapted.named_parameters() if "lora_A" in n).data[0, 0] = float("nan")
    with pytest.raises(NonFinite):
        take_in(Adapter.open(bench.saved(adapted)), base)


def test_a_scale_beyond_all_numbers_is_refused(bench):
    base = bench.base(attention_bias=True)
    adapter = bench.adapter(base, target_modules=["q_proj"], lora_bias=True, lora_alpha=1e308)
    with pytest.raises(NonFinite):
        take_in(adapter, base)


def test_another_base_is_named_in_a_note_and_another_size_refused(bench, tmp_path):
    base = bench.base()
    adapted = bench.adapted(base, target_modules=["q_proj"])
    adapted.peft_config["default"].base_model_name_or_path = "org/other-model"
    adapter = Adapter.open(bench.saved(adapted))
    assert take_in(adapter, base).notes == [
        "the adapter says that its base is org/other-model, not base"
    ]
    other = type(bench)(tmp_path / "second")
    with pytest.raises(ShapeMismatch, match="do not fit model"):
        take_in(adapter, other.base(hidden_size=32))
    third = type(bench)(tmp_path / "third")
    with pytest.raises(BaseMismatch, match="q_proj"):
        take_in(adapter, third.base("gpt2"))


def test_an_adapter_of_a_larger_vocabulary_is_refused(bench):
    base = bench.base()
    adapted = bench.adapted(base, target_modules=["q_proj"], modules_to_save=["lm_head"])
    adapter = Adapter.open(bench.saved(adapted))
    array = adapter.tensors["base_model.model.lm_head.weight"]
    longer = {"base_model.model.lm_head.weight": type(array)(array.path, array.dtype, (24, 16), 0)}
    other = Adapter(
        adapter.folder,
        adapter.config,
        {**adapter.tensors, **longer},
        {},
        adapter.digests,
        adapter.stamp,
    )
    with pytest.raises(ShapeMismatch, match="lm_head") as caught:
        take_in(other, base)
    assert "vocabulary" in str(caught.value.why)


def test_one_use_of_tied_weights_is_adapted_with_a_note(bench):
    base = bench.base("llama", "F32", tie_word_embeddings=True)
    adapted = bench.adapted(base, target_modules=["embed_tokens"])
    taken = take_in(Adapter.open(bench.saved(adapted)), base)
    assert list(taken.operations) == ["model.embed_tokens.weight"]
    assert any("are one tensor in this base" in note for note in taken.notes)


def test_adapters_tied_as_the_weights_are_count_once(bench):
    base = bench.base("llama", "F32", tie_word_embeddings=True)
    adapted = bench.adapted(base, target_modules=["embed_tokens"], ensure_weight_tying=True)
    embedding = adapted.base_model.model.model.embed_tokens
    head = adapted.base_model.model.lm_head
    head.lora_A["default"].weight.data = embedding.lora_embedding_B["default"].data.t().clone()
    head.lora_B["default"].weight.data = embedding.lora_embedding_A["default"].data.t().clone()
    taken = take_in(Adapter.open(bench.saved(adapted)), base)
    assert [len(found) for found in taken.operations.values()] == [1]
    (note,) = taken.notes
    assert "lm_head.weight and model.embed_tokens.weight have the same change" in note
    assert "PEFT's merge would add it twice" in note


def test_one_replacement_of_tied_weights_under_both_names_is_no_news(bench):
    base = bench.base("llama", "F32", tie_word_embeddings=True)
    adapter = bench.adapter(
        base, target_modules=["q_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True
    )
    name = "base_model.model.model.embed_tokens.weight"
    both = {**adapter.tensors, "base_model.model.lm_head.weight": adapter.tensors[name]}
    taken = take_in(replace(adapter, tensors=both), base)
    assert taken.operations["model.embed_tokens.weight"][0].kind == "replace"
    assert not taken.notes


def test_unlike_changes_of_tied_weights_are_refused(bench):
    base = bench.base("llama", "F32", tie_word_embeddings=True)
    adapted = bench.adapted(base, target_modules=["embed_tokens", "lm_head"])
    with pytest.raises(Unsupported, match="each in a way of its own"):
        take_in(Adapter.open(bench.saved(adapted)), base)


def test_a_head_replaced_without_its_tied_embeddings_is_refused(bench):
    base = bench.base("llama", "F32", tie_word_embeddings=True)
    adapted = bench.adapted(base, target_modules=["q_proj"], modules_to_save=["lm_head"])
    with pytest.raises(Unsupported, match="replaces lm_head"):
        take_in(Adapter.open(bench.saved(adapted)), base)


def test_one_tensor_under_two_names_is_refused(bench):
    base = bench.base()
    adapter = bench.adapter(base, target_modules=["q_proj"])
    twice = dict(adapter.tensors)
    for name, array in adapter.tensors.items():
        twice[name.replace(".model.model.", ".model.")] = array
    other = Adapter(adapter.folder, adapter.config, twice, {}, adapter.digests, adapter.stamp)
    with pytest.raises(FormatError, match="'layers"):
        take_in(other, base)


def test_a_rank_other_than_the_stated_one_is_refused(bench):
    base = bench.base()
    adapter = bench.adapter(base, target_modules=["q_proj"], rank_pattern={"q_proj": 2})
    config = (adapter.folder / "adapter_config.json").read_text()
    (adapter.folder / "adapter_config.json").write_text(config.replace('"q_proj": 2', '"k": 2'))
    with pytest.raises(ShapeMismatch, match="have rank 2, not 3"):
        take_in(Adapter.open(adapter.folder), base)


def test_a_quantised_base_is_refused(bench):
    base = bench.base()
    adapter = bench.adapter(base, target_modules=["q_proj"])
    base.config["quantization_config"] = {"quant_method": "bitsandbytes"}
    with pytest.raises(Unsupported, match="quantised"):
        take_in(adapter, base)


def test_neither_torch_nor_peft_is_needed(bench, run_python):
    base = bench.base()
    adapter = bench.saved(bench.adapted(base, target_modules=["q_proj"]))
    run_python(
        f"""
        import sys
        from weightpatch.patches.checkpoints.checkpoint import Checkpoint
        from weightpatch.patches.exchange.adapter import Adapter
        from weightpatch.patches.exchange.from_peft import take_in
        assert take_in(Adapter.open({str(adapter)!r}), Checkpoint.open({str(base.path)!r}))
        assert not {{"torch", "peft", "transformers"}} & set(sys.modules)
        """
    )
