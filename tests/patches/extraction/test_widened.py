"""extract of models whose MLPs grew: neurons come back as neurons, padding is left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neuron_fixtures import FAMILIES, INNER, llama, neurons, together
from pico_fixtures import Pico
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import ShapeMismatch
from weightpatch.patches.extraction.extract import extract
from weightpatch.patches.extraction.widened import grown

ORIGIN = Origin("acme/found", author="ada", created="2026-01-31T12:00:00Z")
DOWN = "model.layers.{}.mlp.down_proj.weight"
UP = "model.layers.{}.mlp.up_proj.weight"


def extracted(base, edited, folder):
    folder.mkdir()
    return extract(base, edited, folder, [Pico.REQUEST], ORIGIN, {"weightpatch": "0"}).as_patch()


def contents(folder):
    checkpoint = Checkpoint.open(folder)
    return {**checkpoint.digests(), "inner": checkpoint.config.get("intermediate_size")}


def built(tmp_path, base, operations):
    pico = Pico(tmp_path)
    return Checkpoint.open(pico.built(base, [pico.patch(base, operations=operations)]))


def kinds(patch):
    return {name: [one.kind for one in found] for name, found in patch.operations.items()}


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_neurons_come_back(tmp_path, family, shards):
    base = FAMILIES[family](tmp_path / "base", shards=shards)
    operations = together(neurons(base, 0, 2), neurons(base, 2, 3, seed=1))
    edited = built(tmp_path, base, operations)
    patch = extracted(base, edited, tmp_path / "found")
    assert kinds(patch) == {name: ["widen"] for name in operations}
    apply(base, [patch], tmp_path / "again")
    assert contents(tmp_path / "again") == contents(edited.path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_was_there_before_may_have_changed_too(tmp_path, dtype):
    base = llama(tmp_path / "base", dtype=dtype)
    pico = Pico(tmp_path)
    changed = {
        DOWN.format(1): [pico.lowrank((8, INNER))],
        UP.format(0): [pico.sparse((INNER, 8))],
        "model.norm.weight": [pico.replaced((8,))],
    }
    edited = built(tmp_path, base, together(neurons(base, 1, 2), changed))
    patch = extracted(base, edited, tmp_path / "found")
    assert kinds(patch)[DOWN.format(1)][-1] == "widen"
    assert "widen" not in kinds(patch)[UP.format(0)]
    apply(base, [patch], tmp_path / "again")
    assert contents(tmp_path / "again") == contents(edited.path)


@given(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any), st.integers(0, 9))
@settings(deadline=None, max_examples=20)
def test_any_number_of_neurons_in_any_layer(tmp_path_factory, counts, seed):
    root = tmp_path_factory.mktemp("any")
    base = llama(root / "base")
    added = [
        neurons(base, layer, count, seed=seed + layer)
        for layer, count in enumerate(counts)
        if count
    ]
    edited = built(root, base, together(*added))
    apply(base, [extracted(base, edited, root / "found")], root / "again")
    assert contents(root / "again") == contents(edited.path)


def test_neurons_of_zeros_alone_still_make_the_model_larger(tmp_path):
    base = llama(tmp_path / "base")
    nothing = neurons(base, 1, 2)
    for (operation,) in nothing.values():
        operation.values[:] = 0
    edited = built(tmp_path, base, nothing)
    apply(base, [extracted(base, edited, tmp_path / "found")], tmp_path / "again")
    assert contents(tmp_path / "again") == contents(edited.path)


def shapes(base):
    return {name: info.shape for name, info in base.tensors.items()}


def refused(base, changed):
    with pytest.raises(ShapeMismatch) as error:
        grown(base, {**shapes(base), **changed}, lambda name: np.zeros(shapes(base)[name]))
    return error.value


def test_only_a_part_of_an_mlp_that_grew_is_refused(tmp_path):
    error = refused(llama(tmp_path / "base"), {UP.format(0): (INNER + 1, 8)})
    assert "not all MLPs" in error.why


def test_what_is_no_mlp_may_not_grow(tmp_path):
    error = refused(llama(tmp_path / "base"), {"model.embed_tokens.weight": (40, 8)})
    assert "embed_tokens" in error.message


def test_another_axis_may_not_grow(tmp_path):
    error = refused(llama(tmp_path / "base"), {UP.format(0): (INNER, 9)})
    assert "number of neurons" in error.why


def test_mlps_that_shrank_are_refused(tmp_path):
    base = llama(tmp_path / "base")
    smaller = {
        name: tuple(INNER - 1 if length == INNER else length for length in shape)
        for name, shape in shapes(base).items()
    }
    assert refused(base, smaller)
