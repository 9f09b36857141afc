"""What is refused when patches are applied, before anything is written or without a trace."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from weightpatch.patches import base_match, summation
from weightpatch.patches.base_match import MAX_RELATIVE_NORM
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.plan import plan
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import (
    BaseMismatch,
    ConflictFound,
    DigestMismatch,
    ManifestError,
    NonFinite,
    PathRefused,
    TargetExists,
    TooBig,
    Unsupported,
    WeightpatchError,
)
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations.dense import Dense


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def two(pico, base: Checkpoint) -> list[Patch]:
    """Two patches that meet on one tensor, the second on another one too."""
    operations = {
        pico.DOWN: [pico.lowrank((6, 10), rank=2, seed=8)],
        pico.EMBEDDING: [Dense(np.full((5, 6), 0.25, np.float32))],
    }
    return [pico.patch(base), pico.patch(base, "acme/two", operations=operations)]


def flipped(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_a_base_with_one_flipped_bit_is_refused(pico):
    base = pico.base()
    patch = pico.patch(base)
    flipped(base.path / "model.safetensors", base.tensors[pico.DOWN].stop - 1)
    before = names(pico.root)
    with pytest.raises(BaseMismatch):
        apply(Checkpoint.open(base.path), [patch], pico.root / "build")
    assert names(pico.root) == before


def test_a_patch_with_one_flipped_bit_is_refused(pico):
    base = pico.base()
    patch = pico.patch(base)
    flipped(patch.files["delta.safetensors"], -1)
    before = names(pico.root)
    with pytest.raises(DigestMismatch):
        apply(base, [patch], pico.root / "build")
    assert names(pico.root) == before


def test_a_base_that_changes_while_it_is_read_is_refused(pico):
    base = pico.base()
    patch = pico.patch(base)
    plan(base, [patch])
    flipped(base.path / "model.safetensors", base.tensors[pico.DOWN].start)
    before = names(pico.root)
    with pytest.raises(DigestMismatch):
        apply(base, [patch], pico.root / "build")
    assert names(pico.root) == before


def test_a_result_that_is_not_the_promised_one_is_refused(pico):
    base = pico.base()
    patch = pico.patch(base)
    record = replace(patch.manifest.bases[0], result={pico.DOWN: "0" * 64})
    liar = Patch.open(pico.rewrite(patch, bases=(record,)))
    before = names(pico.root)
    with pytest.raises(DigestMismatch, match="not the promised one"):
        apply(base, [liar], pico.root / "build")
    assert names(pico.root) == before


def test_a_delta_that_dwarfs_its_tensor_is_refused(pico, monkeypatch):
    base = pico.base(dtype="F32")
    delta = np.zeros((6, 10), np.float32)
    delta[0, 0] = 0.99 * MAX_RELATIVE_NORM * summation.norm(base, pico.DOWN)
    patch = pico.patch(base, operations={pico.DOWN: [Dense(delta)]})
    assert pico.built(base, [patch])
    monkeypatch.setattr(base_match, "MAX_RELATIVE_NORM", 0.98 * MAX_RELATIVE_NORM)
    with pytest.raises(TooBig):
        apply(base, [patch], pico.root / "second")


def test_a_sum_that_overflows_is_refused(pico):
    tensors = pico.tensors("F16")
    tensors[pico.DOWN][:] = 60000
    base = pico.base_of(tensors)
    patches = [
        pico.patch(base, name, operations={pico.DOWN: [Dense(np.full((6, 10), step, np.float32))]})
        for name, step in (("acme/one", 4000), ("acme/two", 4001))
    ]
    before = names(pico.root)
    with pytest.raises(NonFinite):
        apply(base, patches, pico.root / "build")
    assert names(pico.root) == before


def test_a_composition_is_not_applied_with_its_member(pico):
    base = pico.base()
    patches = two(pico, base)
    both = pico.composed(base, patches, "acme/both")
    with pytest.raises(ConflictFound):
        apply(base, [both, patches[0]], pico.root / "build")
    assert "build" not in names(pico.root)


@pytest.mark.parametrize("kind", ["folder", "file", "dangling"])
def test_a_target_that_exists_is_refused_before_anything_is_read(pico, kind: str):
    base = pico.base()
    patch = pico.patch(base)
    out = pico.root / "build"
    {"folder": out.mkdir, "file": out.touch, "dangling": lambda: out.symlink_to("x")}[kind]()
    shutil.rmtree(base.path)
    with pytest.raises(TargetExists):
        apply(base, [patch], out)


def test_a_patch_that_changes_while_it_is_read_is_refused(pico):
    base = pico.base()
    patch = pico.patch(base, operations={pico.DOWN: [pico.dense((6, 10))]})
    assert patch.operations
    flipped(patch.files["delta.safetensors"], -1)
    before = names(pico.root)
    with pytest.raises(DigestMismatch):
        apply(base, [patch], pico.root / "build")
    assert names(pico.root) == before


def test_a_quantised_base_is_refused(pico):
    base = pico.base()
    patch = pico.patch(base)
    (base.path / "config.json").write_text('{"quantization_config": {"quant_method": "gptq"}}')
    quantised = Checkpoint.open(base.path)
    with pytest.raises(Unsupported, match="gptq"):
        apply(quantised, [patch], pico.root / "build")
    with pytest.raises(Unsupported, match="gptq"):
        pico.patch(quantised, "acme/two")
    assert "build" not in names(pico.root)


def test_a_target_without_parent_is_refused(pico):
    base = pico.base()
    with pytest.raises(PathRefused, match="there is no folder"):
        apply(base, [pico.patch(base)], pico.root / "nowhere" / "build")


def test_an_interrupt_leaves_nothing(pico):
    def interrupt(phase: str, done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    base = pico.base()
    patch = pico.patch(base)
    before = names(pico.root)
    with pytest.raises(KeyboardInterrupt):
        apply(base, [patch], pico.root / "build", progress=interrupt)
    assert names(pico.root) == before


@pytest.mark.parametrize("seed", range(3))
def test_hostile_files_are_refused_or_do_no_harm(pico, seed: int):
    base = pico.base()
    patch = pico.patch(base)
    data = patch.files["delta.safetensors"].read_bytes()
    random = np.random.default_rng(seed)
    for number in range(40):
        changed = bytearray(data)
        for position in random.integers(0, len(data), 2):
            changed[position] = random.integers(256)
        patch.files["delta.safetensors"].write_bytes(changed)
        files = {
            **patch.manifest.files,
            "delta.safetensors": replace(
                patch.manifest.files["delta.safetensors"], sha256=sha256(bytes(changed))
            ),
        }
        try:
            apply(base, [Patch.open(pico.rewrite(patch, files=files))], pico.root / "build")
        except WeightpatchError:
            assert "build" not in names(pico.root), number
        else:
            assert bytes(changed) == data or patch.auxiliary == {}
            shutil.rmtree(pico.root / "build")


@pytest.mark.parametrize(("factor", "fits"), [(1.009, True), (1.02, False), (0.0, False)])
def test_a_patch_changes_a_tensor_by_as_much_as_it_says(pico, factor: float, fits: bool):
    base = pico.base()
    patch = pico.patch(base)
    (record,) = patch.manifest.operations[pico.DOWN]
    stated = replace(record, relative_norm=factor * record.relative_norm)
    other = Patch.open(pico.rewrite(patch, operations={pico.DOWN: (stated,)}))
    if fits:
        assert plan(base, [other])
    else:
        with pytest.raises(ManifestError, match="by as much as"):
            plan(base, [other])
