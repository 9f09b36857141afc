"""Builds with added neurons: transformers loads them, and they compute what they should.

What they should compute is told by the base model with the neurons' outputs added by hooks.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from neuron_fixtures import FAMILIES, HIDDEN, gpt2, llama, neurons, together
from numpy.typing import NDArray
from torch.nn.functional import gelu, silu
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.revert import revert
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.neurons import mlp_layers
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.errors import ShapeMismatch
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.widen import Widen

IDS = torch.tensor([[1, 5, 9, 2, 7, 31, 4]])
Bits = NDArray[np.generic]


@pytest.fixture(params=sorted(FAMILIES))
def base(request, tmp_path) -> Checkpoint:
    """The small model of each family in turn."""
    return FAMILIES[request.param](tmp_path / "base")


def loaded(folder: Path) -> PreTrainedModel:
    """The model as transformers loads it, which has nothing to complain of."""
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, local_files_only=True
    )
    assert not any(report.values()), report
    return model.eval()


@torch.no_grad()
def logits(model: PreTrainedModel, ids: torch.Tensor = IDS) -> torch.Tensor:
    return model(input_ids=ids).logits


def values(operations: Mapping[str, Sequence[Operation]], layer: int) -> dict[str, torch.Tensor]:
    """The values of the neurons of one layer, float32, by the last two parts of the name."""
    return {
        ".".join(name.split(".")[-2:]): torch.from_numpy(as_floats(operation.values[:]))
        for name, (operation,) in operations.items()
        if f".{layer}." in name and isinstance(operation, Widen)
    }


def as_floats(bits: Bits) -> NDArray[np.float32]:
    return (bits.astype("<u4") << 16).view("<f4") if bits.dtype == "<u2" else bits.astype("<f4")


def output(found: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """What added neurons write, by the formulas of the two families."""
    if "c_fc.weight" in found:
        inner = gelu(x @ found["c_fc.weight"] + found["c_fc.bias"], approximate="tanh")
        return inner @ found["c_proj.weight"]
    zero = torch.zeros(())
    gate = x @ found["gate_proj.weight"].T + found.get("gate_proj.bias", zero)
    up = x @ found["up_proj.weight"].T + found.get("up_proj.bias", zero)
    return (silu(gate) * up) @ found["down_proj.weight"].T


def by_hand(
    model: PreTrainedModel,
    patches: Iterable[Mapping[str, Sequence[Operation]]],
    ids: torch.Tensor = IDS,
) -> torch.Tensor:
    """Logits of a model with these neurons beside its own."""

    def beside(found: Mapping[str, torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda _module, inputs, result: result + output(found, inputs[0])

    with ExitStack() as hooks:
        for operations in patches:
            for number, layer in enumerate(model.base_model.get_submodule(layers_of(model))):
                if found := values(operations, number):
                    handle = layer.mlp.register_forward_hook(beside(found))
                    hooks.callback(handle.remove)
        return logits(model, ids)


def layers_of(model: PreTrainedModel) -> str:
    return "h" if model.config.model_type == "gpt2" else "layers"


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-5, atol=1e-5)


def axes(base: Checkpoint) -> dict[str, int]:
    return {name: axis for layer in mlp_layers(base) for name, axis in layer.axes.items()}


def contents(folder: Path) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in folder.iterdir()}


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_transformers_loads_a_build_and_its_neurons_work(tmp_path, pico, family: str, shards: int):
    base = FAMILIES[family](tmp_path / "base", shards=shards)
    added = neurons(base, 1, 2)
    model = loaded(pico.built(base, [pico.patch(base, operations=added)]))
    expected = by_hand(loaded(base.path), [added])
    assert close(logits(model), expected)
    assert not close(logits(loaded(base.path)), expected)


def test_old_neurons_come_first_then_new_ones_and_zeros_elsewhere(pico, base):
    added = neurons(base, 1, 2)
    built = Checkpoint.open(pico.built(base, [pico.patch(base, operations=added)]))
    for name, axis in axes(base).items():
        old, found = base.read(name), built.read(name)
        end = added[name][0].values if name in added else np.zeros_like(old.take([0, 0], axis))
        assert np.array_equal(found, np.concatenate([old, end], axis))


def test_all_else_is_as_in_the_base(pico, base):
    build = pico.built(base, [pico.patch(base, operations=neurons(base, 0, 1))])
    built = Checkpoint.open(build)
    assert {n for n in base.tensors if built.digest(n) != base.digest(n)} == set(axes(base))
    before, after = contents(base.path), contents(build)
    same = set(before) - {"model.safetensors", "config.json"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_two_patches_widen_different_layers_and_the_same(pico, base):
    several = [
        together(neurons(base, 0, 3), neurons(base, 2, 1, seed=1)),
        neurons(base, 1, 1, seed=2),
        together(neurons(base, 0, 2, seed=3), neurons(base, 2, 1, seed=4)),
    ]
    patches = [
        pico.patch(base, f"acme/p{number}", operations=operations)
        for number, operations in enumerate(several)
    ]
    build = pico.built(base, patches)
    model = loaded(build)
    assert close(logits(model), by_hand(loaded(base.path), several))
    assert {Checkpoint.open(build).tensors[n].shape[a] - base.tensors[n].shape[a]
            for n, a in axes(base).items()} == {5}  # fmt: skip
    assert contents(pico.built(base, patches[::-1], "again")) == contents(build)


def test_the_order_of_neurons_is_the_same_in_every_tensor_of_a_layer(pico, base):
    several = [neurons(base, 1, count, seed=count) for count in (1, 2, 3)]
    patches = [
        pico.patch(base, f"acme/p{number}", operations=operations)
        for number, operations in enumerate(several)
    ]
    model = loaded(pico.built(base, patches))
    assert close(logits(model), by_hand(loaded(base.path), several))


def test_a_composition_has_the_same_neurons(pico, base):
    patches = [
        pico.patch(base, "acme/one", operations=neurons(base, 1, 2)),
        pico.patch(base, "acme/two", operations=neurons(base, 2, 1, seed=1)),
    ]
    apart, composed = pico.built(base, patches), pico.composed(base, patches, "acme/both")
    together = pico.built(base, [composed], "together")
    assert Checkpoint.open(apart).digests() == Checkpoint.open(together).digests()


def test_a_tensor_can_be_changed_and_widened(pico, base):
    name = next(
        n for n in mlp_layers(base)[1].axes if n.endswith(("down_proj.weight", "c_proj.weight"))
    )
    rows, columns = base.tensors[name].shape
    random = np.random.default_rng(5)
    delta = LowRank.snapped(random.standard_normal((rows, 1)), random.standard_normal((1, columns)))
    added = neurons(base, 1, 2)
    changing = pico.patch(base, "acme/delta", operations={name: [delta]})
    widening = pico.patch(base, "acme/widen", operations=added)
    model = loaded(base.path)
    weight = model.get_parameter(
        name if name.startswith("model") else f"transformer.{name.removeprefix('transformer.')}"
    )
    with torch.no_grad():
        weight += torch.from_numpy(delta.rows(0, rows)).to(torch.float32)
    expected = by_hand(model, [added])
    assert close(logits(loaded(pico.built(base, [changing, widening]))), expected)
    both = pico.patch(base, "acme/both", operations=together({name: [delta]}, added))
    assert close(logits(loaded(pico.built(base, [both], "one-patch"))), expected)


def test_one_patch_changes_a_layer_that_another_pads(pico, base):
    name = next(n for n, axis in mlp_layers(base)[2].axes.items() if axis == 0 and "weight" in n)
    shape = base.tensors[name].shape
    changing = pico.patch(base, "acme/delta", operations={name: [pico.lowrank(shape)]})
    widening = pico.patch(base, "acme/widen", operations=neurons(base, 0, 4))
    alone = Checkpoint.open(pico.built(base, [changing], "alone")).read(name)
    found = Checkpoint.open(pico.built(base, [changing, widening])).read(name)
    assert np.array_equal(found, np.concatenate([alone, np.zeros_like(alone[:4])]))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_models_in_half_precision_are_widened_too(tmp_path, pico, dtype: str):
    base = llama(tmp_path / "base", dtype=dtype)
    added = neurons(base, 1, 2)
    model = loaded(pico.built(base, [pico.patch(base, operations=added)]))
    assert base.tensors[next(iter(added))].dtype == {"bfloat16": "BF16", "float16": "F16"}[dtype]
    assert close(logits(model), by_hand(loaded(base.path), [added]))


def test_biases_of_a_llama_are_widened(tmp_path, pico):
    base = llama(tmp_path / "base", mlp_bias=True)
    added = neurons(base, 2, 2)
    assert "model.layers.2.mlp.gate_proj.bias" in added
    model = loaded(pico.built(base, [pico.patch(base, operations=added)]))
    assert close(logits(model), by_hand(loaded(base.path), [added]))


@pytest.mark.parametrize("tied", [True, False])
def test_tied_embeddings_stay_tied(tmp_path, pico, tied: bool):
    base = llama(tmp_path / "base", tie_word_embeddings=tied)
    model = loaded(pico.built(base, [pico.patch(base, operations=neurons(base, 0, 1))]))
    assert (model.lm_head.weight is model.model.embed_tokens.weight) is tied


def test_a_decoder_saved_alone_can_be_widened(tmp_path, pico):
    whole = AutoModelForCausalLM.from_pretrained(gpt2(tmp_path / "whole").path)
    whole.transformer.save_pretrained(tmp_path / "base")
    base = Checkpoint.open(tmp_path / "base")
    added = neurons(base, 1, 2)
    assert "h.1.mlp.c_fc.weight" in added
    model = loaded(pico.built(base, [pico.patch(base, operations=added)]))
    assert close(logits(model), by_hand(loaded(base.path), [added]))


def test_the_index_of_shards_states_the_new_size(tmp_path, pico):
    base = llama(tmp_path / "base", shards=3)
    build = pico.built(base, [pico.patch(base, operations=neurons(base, 1, 2))])
    index = json.loads((build / "model.safetensors.index.json").read_text())
    before = json.loads((base.path / "model.safetensors.index.json").read_text())
    tensors = Checkpoint.open(build).tensors.values()
    assert index["metadata"]["total_size"] == sum(info.stop - info.start for info in tensors)
    assert (
        index["metadata"]["total_size"] - before["metadata"]["total_size"] == 4 * 3 * 3 * 2 * HIDDEN
    )
    saved = AutoModelForCausalLM.from_pretrained(build)
    saved.save_pretrained(tmp_path / "saved", max_shard_size=2000)
    again = json.loads((tmp_path / "saved" / "model.safetensors.index.json").read_text())
    assert index["metadata"] == again["metadata"]
    assert index["weight_map"] == before["weight_map"]


def test_a_build_is_reverted_from_itself_to_the_bit(tmp_path, pico):
    base = llama(tmp_path / "base", shards=3)
    text = (base.path / "config.json").read_bytes().replace(b"\n", b"\r\n")
    (base.path / "config.json").write_bytes(text)
    base = Checkpoint.open(base.path)
    build = pico.built(base, [pico.patch(base, operations=neurons(base, 1, 2))])
    revert(build, out=tmp_path / "reverted")
    assert contents(tmp_path / "reverted") == contents(base.path)


def test_a_patch_on_top_of_a_build_that_was_widened(pico, base):
    several = [neurons(base, 1, 2), together(neurons(base, 1, 1, seed=1), neurons(base, 0, 1))]
    one, other = (
        pico.patch(base, f"acme/p{number}", operations=operations)
        for number, operations in enumerate(several)
    )
    first = pico.built(base, [one], "first")
    apply(Checkpoint.open(first), [one, other], pico.root / "second")
    at_once = Checkpoint.open(pico.built(base, [one, other]))
    assert Checkpoint.open(pico.root / "second").digests() == at_once.digests()
    assert at_once.config == Checkpoint.open(pico.root / "second").config


def test_a_patch_that_would_leave_a_layer_broken_is_not_made(pico, base):
    added = neurons(base, 1, 2)
    del added[next(iter(added))]
    with pytest.raises(ShapeMismatch, match="not be whole"):
        pico.patch(base, operations=added)
    assert not (pico.root / "acme-one" / "delta.safetensors").exists()


@pytest.mark.slow
def test_a_real_model_gets_two_neurons(smollm2, pico):
    base = Checkpoint.open(smollm2)
    added = {}
    for name, axis in mlp_layers(base)[5].axes.items():
        bits = base.read(name)
        added[name] = [
            Widen.read({("rows", "columns")[axis]: bits.take([7, 11], axis)}, bits.shape)
        ]
    build = pico.built(base, [pico.patch(base, operations=added)])
    tokenizer = AutoTokenizer.from_pretrained(build)
    ids = tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    model = loaded(build)
    assert model.config.intermediate_size == 1538
    assert torch.allclose(logits(model, ids), by_hand(loaded(smollm2), [added], ids), atol=1e-3)
    told = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False
    )
    assert "Paris" in tokenizer.decode(told[0, ids.shape[1] :])
