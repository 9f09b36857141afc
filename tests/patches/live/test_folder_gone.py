"""Folders of patches that go while they are attached: small deltas are in memory, large are not."""

import shutil

import numpy as np
import pytest
from live_models import bits, model_of
from torch import nn
from weightpatch.patches.errors import ManifestError, SizeMismatch
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.live import attach, detach_all, joined, patched
from weightpatch.patches.operations.dense import Dense


@pytest.fixture
def base(pico):
    return pico.base()


@pytest.fixture
def model(base) -> nn.Module:
    return model_of(base)


@pytest.fixture
def patches(pico, base) -> list[Patch]:
    return [pico.patch(base), pico.patch(base, "acme/two", seed=2)]


@pytest.fixture
def large(monkeypatch):
    """Take every delta for a large one."""
    monkeypatch.setattr(joined, "HELD_BYTES", 0)
    monkeypatch.setattr(joined, "HELD_SHARE", 1 << 30)


def remove(*patches: Patch) -> None:
    for patch in patches:
        shutil.rmtree(patch.files["patch.json"].parent)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_small_deltas_do_not_need_their_folders(model, patches, order):
    before = bits(model)
    alone = []
    for patch in patches:
        with patched(model, patch):
            alone.append(bits(model))
    held = [attach(model, patch) for patch in patches]
    remove(*patches)
    held[order[0]].detach()
    assert bits(model) == alone[order[1]]
    held[order[1]].detach()
    assert bits(model) == before


def test_all_kinds_of_small_deltas_are_held(pico, base, model):
    kinds = [pico.sparse((6, 10)), pico.dense((6, 10)), pico.sparse((6, 10), seed=2)]
    patches = [
        pico.patch(base, f"acme/p{place}", operations={pico.DOWN: [operation]})
        for place, operation in enumerate(kinds)
    ]
    other = pico.patch(base, operations={pico.UP: [pico.replaced((10, 6))]})
    before = bits(model)
    held = [attach(model, patch) for patch in (*patches, other)]
    remove(*patches, other)
    for attachment in held:
        attachment.detach()
    assert bits(model) == before


@pytest.mark.usefixtures("large")
class TestLargeDeltas:
    """They are read from their folder whenever they are summed."""

    @pytest.fixture
    def held(self, model, patches):
        return [attach(model, patch) for patch in patches]

    def test_detach_refuses_and_changes_nothing(self, model, patches, held):
        summed = bits(model)
        remove(*patches)
        for attachment in held:
            with pytest.raises(ManifestError, match="cannot be read") as refusal:
                attachment.detach()
            assert "detach_all" in refusal.value.hint
        assert bits(model) == summed

    def test_a_file_that_became_shorter_is_refused(self, model, patches, held):
        summed = bits(model)
        path = patches[1].files["delta.safetensors"]
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(SizeMismatch):
            held[0].detach()
        assert bits(model) == summed

    def test_attach_refuses_and_changes_nothing(self, pico, base, model, patches, held):
        summed = bits(model)
        remove(*patches)
        with pytest.raises(ManifestError, match="cannot be read"):
            attach(model, pico.patch(base, "acme/three", seed=3))
        assert bits(model) == summed

    def test_force_takes_all_off_and_says_so(self, base, model, patches, held):
        remove(*patches)
        with pytest.raises(ManifestError, match="cannot be read") as refusal:
            held[0].detach(force=True)
        assert refusal.value.__notes__ == ["all patches were taken off the model"]
        assert bits(model) == bits(model_of(base))
        held[1].detach()
        assert bits(model) == bits(model_of(base))

    def test_leaving_nested_blocks_gives_the_base_back(self, base, model, patches):
        with pytest.raises(ManifestError, match="cannot be read"):  # noqa: SIM117
            with patched(model, patches[0]), patched(model, patches[1]):
                remove(*patches)
        assert bits(model) == bits(model_of(base))

    def test_all_can_be_taken_off_without_reading_them(self, base, model, patches, held):
        remove(*patches)
        detach_all(model)
        assert bits(model) == bits(model_of(base))

    def test_the_last_one_goes_without_its_folder(self, base, model, patches):
        attachment = attach(model, patches[0])
        remove(patches[0])
        attachment.detach()
        assert bits(model) == bits(model_of(base))

    def test_the_folder_can_be_put_back(self, base, model, patches, held, tmp_path):
        folder = patches[1].files["patch.json"].parent
        folder.rename(tmp_path / "away")
        with pytest.raises(ManifestError):
            held[0].detach()
        (tmp_path / "away").rename(folder)
        held[0].detach()
        held[1].detach()
        assert bits(model) == bits(model_of(base))


def test_a_large_dense_delta_stays_in_its_file(pico):
    tensors = pico.tensors("F32")
    tensors[pico.DOWN] = np.ones((600, 600), np.float32)
    base = pico.base_of(tensors)
    steps = [Dense(np.full((600, 600), step, np.float32)) for step in (0.5, 0.25)]
    patches = [
        pico.patch(base, f"acme/p{place}", operations={pico.DOWN: [step]})
        for place, step in enumerate(steps)
    ]
    model = model_of(base)
    held = [attach(model, patch) for patch in patches]
    remove(patches[1])
    with pytest.raises(ManifestError, match="cannot be read"):
        held[0].detach()
    held[1].detach()
    held[0].detach()
    assert bits(model) == bits(model_of(base))
