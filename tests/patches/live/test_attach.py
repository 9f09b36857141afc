"""Several patches on one model, put on and taken off in any order."""

import copy
import gc
import pickle
import weakref
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from live_models import TORCH, bits, model_of
from pico_fixtures import Pico, Reference
from torch import nn
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import BaseMismatch, ConflictFound, DigestMismatch, NonFinite
from weightpatch.patches.format.patch import Operations, Patch
from weightpatch.patches.live import attach, attachments, patched
from weightpatch.patches.operations.dense import Dense


@pytest.fixture(params=["F32", "F16", "BF16"])
def base(pico, request) -> Checkpoint:
    return pico.base(dtype=request.param)


@pytest.fixture
def model(base: Checkpoint) -> nn.Module:
    return model_of(base)


@pytest.fixture
def patch(pico, base: Checkpoint) -> Patch:
    return pico.patch(base)


@pytest.fixture
def other(pico, base: Checkpoint) -> Patch:
    return pico.patch(base, "acme/two", seed=2)


def attached_to(model: nn.Module) -> bool:
    return model in attachments._attached


class Summed:
    """What a tensor must be with some of the patches: one sum, rounded once."""

    def __init__(self, base: Checkpoint, patches: list[Patch], made: list[Operations]) -> None:
        self.base = base
        self.made = made
        self.order = sorted(
            range(len(patches)),
            key=lambda place: patches[place].manifest.files["delta.safetensors"].sha256,
        )

    def bits(self, name: str, chosen: Collection[int]) -> bytes:
        operations = [
            operation
            for place in self.order
            if place in chosen
            for operation in self.made[place].get(name, ())
        ]
        stored, dtype = self.base.read(name), self.base.tensors[name].dtype
        found = Reference().patched(stored, dtype, operations) if operations else stored
        return found.tobytes()


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_whatever_the_order_the_weights_are_one_sum_of_what_is_attached(
    tmp_path_factory, data: st.DataObject
):
    pico = Pico(tmp_path_factory.mktemp("pico"))
    base = pico.base(dtype=data.draw(st.sampled_from(list(TORCH))))
    made: list[Operations] = [
        {pico.DOWN: [pico.lowrank((6, 10), rank=2)]},
        {
            pico.DOWN: [pico.lowrank((6, 10), seed=2)],
            pico.UP: [Dense(np.linspace(-1, 1, 60, dtype=np.float32).reshape(10, 6))],
        },
        {pico.DOWN: [pico.lowrank((6, 10), seed=3)], pico.UP: [pico.lowrank((10, 6), seed=3)]},
    ]
    patches = [
        pico.patch(base, f"acme/p{place}", operations=found) for place, found in enumerate(made)
    ]
    summed = Summed(base, patches, made)
    model = model_of(base)
    held = {}
    for number in data.draw(st.lists(st.integers(0, 2), max_size=8)):
        if number in held:
            held.pop(number).detach()
        else:
            held[number] = attach(model, patches[number])
        found = bits(model)
        for name in base.tensors:
            assert found[name] == summed.bits(name, held)
    assert attached_to(model) == bool(held)


def test_two_attached_one_after_the_other_are_the_build_of_both(pico, base, model, patch, other):
    attach(model, patch)
    attach(model, other)
    assert bits(model) == bits(model_of(Checkpoint.open(pico.built(base, [patch, other]))))


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_two_on_a_model_in_float32_are_rounded_as_the_build_is(pico, dtype: str):
    base = pico.base(dtype=dtype)
    patches = [pico.patch(base), pico.patch(base, "acme/two", seed=2)]
    build = Checkpoint.open(pico.built(base, patches))
    model = model_of(base, torch.float32)
    before = bits(model)
    first, second = [attach(model, patch) for patch in patches]
    assert bits(model) == bits(model_of(build, torch.float32))
    first.detach()
    second.detach()
    assert bits(model) == before


def test_parameters_stay_the_same_objects_in_the_same_place(pico, model, patch, other):
    parameter = model.get_parameter(pico.DOWN)
    parameter.requires_grad_(False)
    place = parameter.data_ptr()
    held = [attach(model, one) for one in (patch, other)]
    for attachment in held:
        attachment.detach()
        assert model.get_parameter(pico.DOWN) is parameter
        assert parameter.data_ptr() == place
        assert not parameter.requires_grad


def test_detaching_twice_does_nothing(model, patch, other):
    first = attach(model, patch)
    first.detach()
    attach(model, other)
    before = bits(model)
    first.detach()
    assert bits(model) == before


def test_a_patch_can_be_attached_again(model, patch):
    before = bits(model)
    attach(model, patch).detach()
    attach(model, patch).detach()
    assert bits(model) == before


def test_an_attachment_knows_model_and_patches(model, patch, other):
    attachment = attach(model, patch, other)
    assert attachment.model is model
    assert attachment.patches == (patch, other)


def test_a_patch_can_be_given_by_its_folder(model, patch):
    folder = patch.files["patch.json"].parent
    before = bits(model)
    attachment = attach(model, folder)
    changed = bits(model)
    assert attachment.patches == (patch,)
    attachment.detach()
    assert bits(model) == before
    with patched(model, str(folder)):
        assert bits(model) == changed != before


def test_the_same_patch_twice_is_refused(model, patch):
    attach(model, patch)
    before = bits(model)
    with pytest.raises(ConflictFound, match="the same delta"):
        attach(model, patch)
    assert bits(model) == before


def test_a_composition_beside_its_member_is_refused(pico, base, model, patch, other):
    both = pico.composed(base, [patch, other], "acme/both")
    attach(model, patch)
    with pytest.raises(ConflictFound):
        attach(model, both)


def test_a_second_patch_that_is_refused_leaves_the_first(pico, base, model, patch):
    elsewhere = pico.patch(pico.base("other", seed=1), "acme/two", seed=2)
    attachment = attach(model, patch)
    before = bits(model)
    with pytest.raises(BaseMismatch, match="different bases"):
        attach(model, elsewhere)
    assert bits(model) == before
    attachment.detach()
    assert bits(model) == bits(model_of(base))


def test_a_failure_at_the_last_tensor_gives_the_others_back(pico, monkeypatch):
    tensors = pico.tensors("F16")
    tensors[pico.UP][:] = 60000
    base = pico.base_of(tensors)
    step = {pico.UP: [Dense(np.full((10, 6), 4000, np.float32))]}
    first = pico.patch(base, operations=step)
    both = {
        pico.DOWN: [pico.lowrank((6, 10))],
        pico.UP: [Dense(np.full((10, 6), 4001, np.float32))],
    }
    second = pico.patch(base, "acme/two", operations=both)
    model = model_of(base)
    attachment = attach(model, first)
    before = bits(model)
    with pytest.raises(NonFinite):
        attach(model, second)
    assert bits(model) == before
    attachment.detach()
    assert bits(model) == bits(model_of(base))


def test_a_broken_promise_shows_when_the_patch_is_left_alone(pico, base, model, patch, other):
    record = replace(other.manifest.bases[0], result={pico.DOWN: "0" * 64})
    liar = Patch.open(pico.rewrite(other, bases=(record,)))
    held = attach(model, patch)
    lying = attach(model, liar)
    before = bits(model)
    with pytest.raises(DigestMismatch, match="not the promised one"):
        held.detach()
    assert bits(model) == before
    lying.detach()
    held.detach()
    assert bits(model) == bits(model_of(base))


class TestSomebodyElseChangesAWeight:
    """A step of training, say: detach refuses to lose it, unless told to."""

    @pytest.fixture
    def attachment(self, pico, model, patch):
        found = attach(model, patch)
        with torch.no_grad():
            model.get_parameter(pico.DOWN)[0, 0] += 1
        return found

    def test_detach_refuses(self, model, attachment):
        changed = bits(model)
        with pytest.raises(BaseMismatch, match="was changed while"):
            attachment.detach()
        assert bits(model) == changed

    def test_attach_refuses(self, model, attachment, other):
        changed = bits(model)
        with pytest.raises(BaseMismatch, match="was changed while"):
            attach(model, other)
        assert bits(model) == changed

    def test_force_gives_the_change_up(self, base, model, attachment):
        attachment.detach(force=True)
        assert bits(model) == bits(model_of(base))

    def test_a_change_elsewhere_is_kept(self, pico, model, patch):
        attachment = attach(model, patch)
        with torch.no_grad():
            model.get_parameter(pico.UP).fill_(1)
        attachment.detach()
        assert model.get_parameter(pico.UP).eq(1).all()

    def test_another_parameter_in_its_place_is_noticed(self, pico, model, patch):
        attachment = attach(model, patch)
        owner = model.get_submodule(pico.DOWN.removesuffix(".weight"))
        owner.weight = nn.Parameter(owner.weight.detach().clone())
        with pytest.raises(BaseMismatch, match="was changed while"):
            attachment.detach()


def test_a_model_that_became_wider_keeps_its_type(pico, base, model, patch):
    attachment = attach(model, patch)
    model.double()
    attachment.detach()
    assert model.get_parameter(pico.DOWN).dtype == torch.float64
    assert bits(model) == bits(model_of(base).double())


def test_a_model_that_became_narrower_is_not_touched(pico):
    base = pico.base(dtype="F32")
    model = model_of(base)
    attachment = attach(model, pico.patch(base))
    model.bfloat16()
    with pytest.raises(BaseMismatch, match="was changed while"):
        attachment.detach()
    attachment.detach(force=True)
    assert model.get_parameter(pico.DOWN).dtype == torch.float32
    assert bits(model)[pico.DOWN] == bits(model_of(base))[pico.DOWN]


def test_the_type_that_the_model_has_decides_between_bases(pico):
    narrow = pico.base("narrow", dtype="BF16")
    widened = {
        name: (narrow.read(name).astype("<u4") << 16).view("<f4")
        if info.dtype == "BF16"
        else narrow.read(name)
        for name, info in narrow.tensors.items()
    }
    wide = pico.base_of(widened, "wide")
    patch, same = pico.patch(narrow), pico.patch(wide, "acme/two")
    bases = (*patch.manifest.bases, *same.manifest.bases)
    both = Patch.open(pico.rewrite(patch, bases=bases))
    only_narrow = pico.patch(narrow, "acme/three", seed=3)
    model = model_of(wide)
    attachment = attach(model, both)
    assert bits(model) == bits(model_of(Checkpoint.open(pico.built(wide, [both]))))
    attach(model, only_narrow)
    build = Checkpoint.open(pico.built(narrow, [both, only_narrow], "second"))
    assert bits(model) == bits(model_of(build, torch.float32)) | {
        name: bits(model)[name] for name in (pico.NORM, pico.EMBEDDING)
    }
    attachment.detach()


def test_a_copy_of_a_patched_model_is_an_ordinary_model(model, patch):
    attachment = attach(model, patch)
    patched_bits = bits(model)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    attachment.detach()
    for found in copies:
        assert bits(found) == patched_bits
        assert not attached_to(found)
    assert list(model.state_dict()) == list(copies[0].state_dict())


def test_a_model_can_go_while_a_patch_is_attached(base, patch):
    model = model_of(base)
    attach(model, patch)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_nothing_is_kept_after_the_last_detach(pico, model, patch, other):
    first, second = attach(model, patch), attach(model, other)
    first.detach()
    assert attached_to(model)
    second.detach()
    assert not attached_to(model)


def test_gradients_flow_through_patched_weights_and_stay(pico, base, patch):
    model = model_of(base, torch.float32)
    parameter = model.get_parameter(pico.DOWN)
    with patched(model, patch):
        (parameter * parameter).sum().backward()
        expected = 2 * parameter.detach().clone()
    assert parameter.requires_grad
    assert torch.equal(parameter.grad, expected)


def test_a_graph_over_the_old_bits_is_not_run_with_others(pico, base, patch):
    model = model_of(base, torch.float32)
    parameter = model.get_parameter(pico.DOWN)
    loss = (parameter * parameter).sum()
    attach(model, patch)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_model_for_inference_is_patched_too(base, patch):
    with torch.inference_mode():
        model = model_of(base)
        attachment = attach(model, patch)
        assert bits(model) != bits(model_of(base))
    attachment.detach()
    assert bits(model) == bits(model_of(base))


def test_a_tensor_that_is_not_contiguous_is_patched_where_it_lies(pico, base, patch):
    model = model_of(base)
    owner = model.get_submodule(pico.DOWN.removesuffix(".weight"))
    owner.weight = nn.Parameter(owner.weight.detach().t().contiguous().t())
    before = bits(model)
    build = Checkpoint.open(pico.built(base, [patch]))
    attachment = attach(model, patch)
    assert bits(model) == bits(model_of(build))
    assert not owner.weight.is_contiguous()
    attachment.detach()
    assert bits(model) == before


def test_a_tied_weight_under_two_names_is_refused(pico, base, model):
    shape = base.tensors[pico.EMBEDDING].shape
    model.lm_head = nn.Linear(6, 5, bias=False)
    model.lm_head.weight = model.get_parameter(pico.EMBEDDING)
    untied = pico.base_of({**pico.tensors(), "lm_head.weight": base.read(pico.EMBEDDING)}, "untied")
    (untied.path / "config.json").write_text("{}")
    untied = Checkpoint.open(untied.path)
    first = pico.patch(base, operations={pico.EMBEDDING: [pico.lowrank(shape)]})
    second = pico.patch(
        untied, "acme/two", operations={"lm_head.weight": [pico.lowrank(shape, seed=2)]}
    )
    attach(model, first)
    before = bits(model)
    with pytest.raises(ConflictFound, match="are one tensor"):
        attach(model, second)
    assert bits(model) == before
