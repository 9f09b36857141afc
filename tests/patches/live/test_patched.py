"""Patching a model in memory: the bits of the build inside the block, the base's outside it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from live_models import TORCH, bits, model_of
from pico_fixtures import Pico
from torch import nn
from weightpatch.patches import base_match
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import (
    BaseMismatch,
    ConflictFound,
    DigestMismatch,
    ManifestError,
    NonFinite,
    TooBig,
    Unsupported,
)
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.live import patched
from weightpatch.patches.operations.dense import Dense


@pytest.fixture(params=["F32", "F16", "BF16"])
def base(pico, request) -> Checkpoint:
    return pico.base(dtype=request.param)


@pytest.fixture
def patch(pico, base: Checkpoint) -> Patch:
    return pico.patch(base)


def test_inside_the_block_the_weights_are_those_of_the_build(pico, base: Checkpoint, patch: Patch):
    model = model_of(base)
    build = Checkpoint.open(pico.built(base, [patch]))
    with patched(model, patch) as same:
        assert same is model
        assert bits(model) == bits(model_of(build))


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_memory_and_disk_agree(tmp_path_factory, data: st.DataObject):
    pico = Pico(tmp_path_factory.mktemp("pico"))
    base = pico.base(dtype=data.draw(st.sampled_from(list(TORCH))))
    patches = [
        pico.patch(
            base,
            f"acme/p{number}",
            operations={pico.DOWN: [pico.lowrank((6, 10), rank=rank, seed=number)]},
        )
        for number, rank in enumerate(
            data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
        )
    ]
    model = model_of(base)
    with patched(model, *data.draw(st.permutations(patches))):
        assert bits(model) == bits(model_of(Checkpoint.open(pico.built(base, patches))))
    assert bits(model) == bits(model_of(base))


def test_after_the_block_the_very_bits_are_back(base: Checkpoint, patch: Patch):
    model = model_of(base)
    before = bits(model)
    with patched(model, patch):
        assert bits(model) != before
    assert bits(model) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_the_bits_come_back_after_an_error(
    base: Checkpoint, patch: Patch, error: type[BaseException]
):
    model = model_of(base)
    before = bits(model)
    with pytest.raises(error), patched(model, patch):
        raise error
    assert bits(model) == before


def test_the_bits_come_back_whatever_was_done_to_the_weights(base: Checkpoint, patch: Patch):
    model = model_of(base)
    before = bits(model)
    with patched(model, patch), torch.no_grad():
        model.get_parameter("model.layers.0.mlp.down_proj.weight").fill_(float("nan"))
    assert bits(model) == before


def test_only_touched_weights_are_changed(pico, base: Checkpoint, patch: Patch):
    model = model_of(base)
    before = bits(model)
    with patched(model, patch):
        after = bits(model)
    assert {name for name in before if before[name] != after[name]} == {pico.DOWN}


def test_parameters_stay_the_same_objects(pico, base: Checkpoint, patch: Patch):
    model = model_of(base)
    parameter = model.get_parameter(pico.DOWN)
    place = parameter.data_ptr()
    with patched(model, patch):
        assert model.get_parameter(pico.DOWN) is parameter
        assert parameter.data_ptr() == place
        assert parameter.requires_grad


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_a_model_in_float32_gets_the_same_values(pico, dtype: str):
    base = pico.base(dtype=dtype)
    patch = pico.patch(base)
    model = model_of(base, torch.float32)
    before = bits(model)
    build = Checkpoint.open(pico.built(base, [patch]))
    with patched(model, patch):
        assert bits(model) == bits(model_of(build, torch.float32))
    assert bits(model) == before


def test_a_model_in_a_narrower_type_is_refused(pico):
    # Values that bfloat16 could hold, so that only the patched ones would be rounded.
    tensors = pico.tensors("F32")
    tensors[pico.DOWN] = np.ones((6, 10), np.float32)
    base = pico.base_of(tensors)
    model = model_of(base, torch.bfloat16)
    before = bits(model)
    with (
        pytest.raises(BaseMismatch, match="not that of the base"),
        patched(model, pico.patch(base)),
    ):
        pass
    assert bits(model) == before


def test_a_base_of_several_types_fits_each(pico):
    wide, narrow = pico.base("wide", dtype="F32"), pico.base("narrow")
    patch, other = pico.patch(narrow), pico.patch(wide, "acme/two")
    bases = (*other.manifest.bases, *patch.manifest.bases)
    both = Patch.open(pico.rewrite(patch, bases=bases))
    for base in (wide, narrow):
        build = Checkpoint.open(pico.built(base, [both], f"build-{base.id}"))
        model = model_of(base)
        with patched(model, both):
            assert bits(model) == bits(model_of(build))


def test_several_patches_are_summed_at_once(pico, base: Checkpoint, patch: Patch):
    other = pico.patch(base, "acme/two", seed=2)
    build = Checkpoint.open(pico.built(base, [patch, other]))
    model = model_of(base)
    with patched(model, other, patch):
        assert bits(model) == bits(model_of(build))


def refused(model: nn.Module, error: type[Exception], *patches: Patch) -> str:
    """Expect that the patches are refused and nothing is changed; gives the message."""
    before = bits(model)
    with pytest.raises(error) as refusal, patched(model, *patches):
        pytest.fail("the block was entered")
    assert bits(model) == before
    return str(refusal.value)


def test_the_same_patch_within_its_own_block_is_refused(base: Checkpoint, patch: Patch):
    model = model_of(base)
    with patched(model, patch):
        assert "the same delta" in refused(model, ConflictFound, patch)


def test_a_model_that_was_patched_elsewhere_is_refused(pico, base: Checkpoint, patch: Patch):
    model = model_of(Checkpoint.open(pico.built(base, [patch])))
    assert "not that of the base" in refused(model, BaseMismatch, patch)


@pytest.mark.parametrize("name", ["DOWN", "UP"])
def test_blocks_can_be_nested(pico, base: Checkpoint, patch: Patch, name: str):
    tensor = getattr(pico, name)
    shape = base.tensors[tensor].shape
    other = pico.patch(base, "acme/two", operations={tensor: [pico.lowrank(shape, seed=2)]})
    build = Checkpoint.open(pico.built(base, [patch, other]))
    model = model_of(base)
    before = bits(model)
    with patched(model, patch):
        outer = bits(model)
        with patched(model, other):
            assert bits(model) == bits(model_of(build))
        assert bits(model) == outer
    assert bits(model) == before


def test_another_base_is_refused(pico, patch: Patch):
    refused(model_of(pico.base("other", seed=1)), BaseMismatch, patch)


def test_a_base_that_differs_in_the_sign_of_a_zero_is_refused(pico):
    tensors = pico.tensors("F32")
    tensors[pico.DOWN][0, 0] = 0.0
    base = pico.base_of(tensors)
    model = model_of(base)
    with torch.no_grad():
        model.get_parameter(pico.DOWN)[0, 0] = -0.0
    refused(model, BaseMismatch, pico.patch(base))


def test_another_shape_is_refused(pico, base: Checkpoint, patch: Patch):
    tensors = pico.tensors()
    tensors[pico.DOWN] = tensors[pico.DOWN].reshape(10, 6)
    refused(model_of(pico.base_of(tensors, "other")), BaseMismatch, patch)


def test_a_second_tensor_that_does_not_fit_leaves_the_first_alone(pico, base: Checkpoint):
    operations = {pico.DOWN: [pico.lowrank((6, 10))], pico.UP: [pico.lowrank((10, 6))]}
    patch = pico.patch(base, operations=operations)
    model = model_of(base)
    with torch.no_grad():
        model.get_parameter(pico.UP)[0, 0] += 1
    refused(model, BaseMismatch, patch)


def test_a_model_without_the_parameter_is_refused(patch: Patch):
    assert "has no parameter" in refused(nn.Linear(2, 2), BaseMismatch, patch)


def test_a_model_that_is_not_in_memory_is_refused(base: Checkpoint, patch: Patch):
    model = model_of(base).to("meta")
    with pytest.raises(Unsupported, match="no weights in memory"), patched(model, patch):
        pass


def test_a_patch_named_twice_is_refused(base: Checkpoint, patch: Patch):
    refused(model_of(base), ConflictFound, patch, patch)


def test_patches_for_different_bases_are_refused(pico, base: Checkpoint, patch: Patch):
    other = pico.patch(pico.base("other", seed=1), "acme/two", seed=2)
    assert "different bases" in refused(model_of(base), BaseMismatch, patch, other)


def test_a_damaged_patch_is_refused(base: Checkpoint, patch: Patch):
    path = patch.files["delta.safetensors"]
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    refused(model_of(base), DigestMismatch, patch)


def test_a_sum_that_overflows_is_refused(pico):
    tensors = pico.tensors("F16")
    tensors[pico.DOWN][:] = 60000
    base = pico.base_of(tensors)
    patches = [
        pico.patch(base, name, operations={pico.DOWN: [Dense(np.full((6, 10), step, np.float32))]})
        for name, step in (("acme/one", 4000), ("acme/two", 4001))
    ]
    refused(model_of(base), NonFinite, *patches)


@pytest.mark.parametrize("value", [float("nan"), 1.0])
def test_what_is_done_within_nested_blocks_is_undone_with_them(pico, base, patch, value: float):
    other = pico.patch(base, "acme/two", seed=2)
    model = model_of(base)
    before = bits(model)
    with patched(model, patch):
        outer = bits(model)
        with patched(model, other), torch.no_grad():
            model.get_parameter(pico.DOWN).fill_(value)
        assert bits(model) == outer
    assert bits(model) == before


def test_tied_weights_change_together(pico):
    base = pico.base()
    patch = pico.patch(base, operations={"lm_head.weight": [Dense(np.ones((5, 6), np.float32))]})
    model = model_of(base)
    model.lm_head = nn.Linear(6, 5, bias=False)
    model.lm_head.weight = model.get_parameter(pico.EMBEDDING)
    before = bits(model)
    with patched(model, patch):
        assert model.lm_head.weight is model.get_parameter(pico.EMBEDDING)
        assert bits(model) != before
    assert bits(model) == before


def test_a_checkpoint_of_the_bare_decoder_fits_the_model_around_it(pico):
    base = pico.base_of({"h.0.mlp.c_proj.weight": np.ones((6, 10), np.float32)})
    patch = pico.patch(base, operations={"h.0.mlp.c_proj.weight": [pico.lowrank((6, 10))]})
    model = nn.Module()
    model.base_model_prefix = "transformer"
    model.transformer = model_of(base)
    before = bits(model)
    with patched(model, patch):
        assert bits(model) != before
    assert bits(model) == before


def test_a_result_that_is_not_the_promised_one_is_refused(pico, base: Checkpoint, patch: Patch):
    record = replace(patch.manifest.bases[0], result={pico.DOWN: "0" * 64})
    liar = Patch.open(pico.rewrite(patch, bases=(record,)))
    assert "not the promised one" in refused(model_of(base), DigestMismatch, liar)


def test_a_delta_that_dwarfs_its_tensor_is_refused(
    base: Checkpoint, patch: Patch, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(base_match, "MAX_RELATIVE_NORM", 1e-3)
    refused(model_of(base), TooBig, patch)


def test_a_delta_larger_than_it_says_is_refused(pico, base: Checkpoint, patch: Patch):
    (record,) = patch.manifest.operations[pico.DOWN]
    stated = replace(record, relative_norm=record.relative_norm / 2)
    liar = Patch.open(pico.rewrite(patch, operations={pico.DOWN: (stated,)}))
    refused(model_of(base), ManifestError, liar)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_the_bits_come_back_after_a_change_of_type(pico, patch, base, dtype: torch.dtype):
    model = model_of(base, torch.float32)
    parameter = model.get_parameter(pico.DOWN)
    before = bits(model)[pico.DOWN]
    with patched(model, patch):
        model.to(dtype)
    assert parameter is model.get_parameter(pico.DOWN)
    assert parameter.dtype == torch.float32
    assert bits(model)[pico.DOWN] == before
