"""Applying to disk: the promised bits, everything else as it was, and all of it or nothing."""

import json
import os
import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from operation_strategies import dtypes
from pico_fixtures import Pico
from weightpatch.patches import base_match, summation
from weightpatch.patches.base_match import MAX_RELATIVE_NORM
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.plan import plan
from weightpatch.patches.builds.record import read_record
from weightpatch.patches.builds.verify import verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256, sha256_file
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
from weightpatch.patches.operations import entries, values
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.operations.sparse import Sparse
from weightpatch.patches.terms import sum_of

RECORD = "weightpatch.json"
BESIDE = ("config.json", "tokenizer.json")


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def contents(folder: Path) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in folder.iterdir() if file.is_file()}


def two(pico, base: Checkpoint) -> list[Patch]:
    """Two patches that meet on one tensor, the second on another one too."""
    operations = {
        pico.DOWN: [pico.lowrank((6, 10), rank=2, seed=8)],
        pico.EMBEDDING: [Dense(np.full((5, 6), 0.25, np.float32))],
    }
    return [pico.patch(base), pico.patch(base, "acme/two", operations=operations)]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_the_result_is_the_promised_one(pico, dtype: str, shards: int):
    base = pico.base(dtype=dtype, shards=shards)
    patch = pico.patch(base)
    built = Checkpoint.open(pico.built(base, [patch]))
    assert built.digest(pico.DOWN) == patch.manifest.bases[0].result[pico.DOWN]
    assert built.digest(pico.DOWN) != base.digest(pico.DOWN)


@pytest.mark.parametrize("shards", [1, 3])
def test_all_else_is_as_in_the_base(pico, shards: int):
    base = pico.base(shards=shards)
    build = pico.built(base, [pico.patch(base)])
    built = Checkpoint.open(build)
    assert {n for n in base.tensors if built.digest(n) != base.digest(n)} == {pico.DOWN}
    touched = base.tensors[pico.DOWN].file.name
    expected = contents(base.path)
    found = contents(build)
    assert {name for name in expected if found[name] != expected[name]} == {touched}
    assert set(found) - set(expected) == {RECORD}


def test_a_header_stays_as_it_was(pico):
    base = pico.base()
    build = pico.built(base, [pico.patch(base)])
    start = min(info.start for info in base.tensors.values())
    heads = [(folder / "model.safetensors").read_bytes()[:start] for folder in (base.path, build)]
    assert heads[0] == heads[1]


def test_the_base_is_not_changed(pico):
    base = pico.base()
    before = contents(base.path)
    pico.built(base, [pico.patch(base)])
    assert contents(base.path) == before


def test_a_build_shares_no_file_with_its_base(pico):
    base = pico.base()
    build = pico.built(base, [pico.patch(base)])
    for file in build.iterdir():
        file.write_bytes(b"overwritten")
    assert Checkpoint.open(base.path).digests() == base.digests()


def test_a_second_run_gives_the_same_bytes(pico):
    base = pico.base()
    patches = two(pico, base)
    first, second = pico.built(base, patches, "first"), pico.built(base, patches[::-1], "second")
    assert contents(first) == contents(second)


def test_links_in_the_base_are_followed(pico):
    base = pico.base()
    blob = (base.path / "model.safetensors").rename(pico.root / "blob")
    (base.path / "model.safetensors").symlink_to(blob)
    before = sha256_file(blob)
    build = pico.built(Checkpoint.open(base.path), [pico.patch(base)])
    assert not (build / "model.safetensors").is_symlink()
    assert sha256_file(blob) == before


@pytest.mark.parametrize(
    "name",
    [
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "training_args.bin",
        "optimizer.pt",
        "consolidated.safetensors",
        "model.gguf",
        "tf_model.h5",
        "model.safetensors.index.json",
        ".gitattributes",
    ],
)
def test_hidden_files_and_other_copies_of_the_weights_are_left_out(pico, name: str):
    base = pico.base()
    (base.path / name).write_bytes(b"\x80\x04.")
    build = pico.built(base, [pico.patch(base)])
    assert names(build) == {"config.json", "tokenizer.json", "model.safetensors", RECORD}


def test_what_is_no_file_is_left_out(pico):
    base = pico.base()
    (base.path / "onnx").mkdir()
    os.mkfifo(base.path / "pipe")
    build = pico.built(base, [pico.patch(base)])
    assert names(build) == {"config.json", "tokenizer.json", "model.safetensors", RECORD}


def test_an_index_of_one_shard_is_carried_along(pico):
    base = pico.base()
    file = base.path / "model.safetensors"
    shard = file.rename(base.path / "model-00001-of-00001.safetensors")
    weight_map = dict.fromkeys(base.tensors, shard.name)
    (base.path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    again = Checkpoint.open(base.path)
    assert verify(pico.built(again, [pico.patch(again)])) == []


def test_the_record_says_what_was_applied_to_what(pico):
    base = pico.base()
    patches = two(pico, base)
    record = apply(base, patches, pico.root / "build")
    assert read_record(pico.root / "build").to_bytes() == record.to_bytes()
    assert {applied.digest for applied in record.patches} == {patch.digest for patch in patches}
    assert {name: tensor.sha256 for name, tensor in record.tensors.items()} == {
        name: base.digest(name) for name in (pico.DOWN, pico.EMBEDDING)
    }
    built = Checkpoint.open(pico.root / "build")
    assert {name: tensor.sha256 for name, tensor in record.result.items()} == {
        name: built.digest(name) for name in (pico.DOWN, pico.EMBEDDING)
    }
    assert record.files == {name: contents(built.path)[name] for name in BESIDE}


def mixed(pico, data: st.DataObject) -> list[Operation]:
    """Operations that can meet on one tensor: sums of all kinds, or entries listed apart."""
    kinds = data.draw(
        st.lists(st.sampled_from(["lowrank", "dense", "sparse"]), min_size=1, max_size=4)
        | st.lists(st.sampled_from([Replace, Sparse]), min_size=1, max_size=4)
        | st.just(["replaced_whole"])
    )
    places = np.random.default_rng(len(kinds)).permutation(60).astype("<i8")
    found = []
    for number, kind in enumerate(kinds):
        if isinstance(kind, str):
            found.append(getattr(pico, kind)((6, 10), seed=number))
        else:
            indices = np.sort(places[10 * number :][:10])
            values = pico.values((10,), data.draw(dtypes), number)
            found.append(kind.read({"indices": indices, "values": values}, (6, 10)))
    return found


@given(data=st.data())
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("chunk", [1, 3, 1 << 14])
def test_disk_memory_and_contract_agree(
    tmp_path_factory, reference, monkeypatch, chunk: int, data: st.DataObject
):
    monkeypatch.setattr(entries, "CHUNK", chunk)
    pico = Pico(tmp_path_factory.mktemp("pico"))
    dtype = data.draw(dtypes)
    base = pico.base(dtype=dtype, shards=data.draw(st.integers(1, 3)))
    patches = [
        pico.patch(base, f"acme/p{number}", operations={pico.DOWN: [operation]})
        for number, operation in enumerate(mixed(pico, data))
    ]
    operations = [term.operation for term in sum_of(patches)[pico.DOWN]]
    expected = reference.patched(base.read(pico.DOWN), dtype, operations)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summation, "BLOCK_ELEMENTS", data.draw(st.integers(1, 80)))
        build = pico.built(base, data.draw(st.permutations(patches)))
        whole = summation.patched(base.read(pico.DOWN), dtype, operations)
    assert whole.tobytes() == expected.tobytes()
    assert Checkpoint.open(build).read(pico.DOWN).tobytes() == expected.tobytes()


def test_memory_is_bounded_whatever_the_size_of_a_dense_delta(pico, monkeypatch):
    shape = (4096, 1024)
    base = pico.base_of({"weight": np.ones(shape, "<f4")})
    patch = pico.patch(base, operations={"weight": [pico.dense(shape)]})
    monkeypatch.setattr(summation, "BLOCK_ELEMENTS", 1 << 14)
    monkeypatch.setattr(values, "BLOCK_ELEMENTS", 1 << 14)
    tracemalloc.start()
    pico.built(base, [Patch.open(patch.files["patch.json"].parent)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4096 * 1024 * 4 / 3


def test_a_delta_too_small_to_matter_changes_nothing(pico):
    base = pico.base()
    tiny = LowRank.snapped(np.full((6, 1), 2.0**-100), np.full((1, 10), 2.0**-49))
    build = pico.built(base, [pico.patch(base, operations={pico.DOWN: [tiny]})])
    assert Checkpoint.open(build).digests() == base.digests()


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


def tied_twice(pico, dtype: str = "BF16") -> Checkpoint:
    """A tied checkpoint that stores its embedding as head, too, in another shard."""
    tensors = pico.tensors(dtype)
    return pico.base_of({**tensors, "lm_head.weight": tensors[pico.EMBEDDING]}, shards=2)


@pytest.mark.parametrize("name", ["lm_head.weight", "model.embed_tokens.weight"])
def test_tied_weights_that_are_stored_twice_stay_equal(pico, name: str):
    """P14: edited once, whichever of the two names the patch uses."""
    base = tied_twice(pico)
    patch = pico.patch(base, operations={name: [pico.lowrank((5, 6))]})
    build = pico.built(base, [patch])
    built = Checkpoint.open(build)
    assert built.digest("lm_head.weight") == built.digest(pico.EMBEDDING)
    assert built.digest(pico.EMBEDDING) == patch.manifest.bases[0].result[pico.EMBEDDING]
    assert set(read_record(build).tensors) == {"lm_head.weight", pico.EMBEDDING}
    assert verify(build) == []


def test_tied_weights_are_edited_once_where_they_are_stored_once(pico):
    base = pico.base()
    build = pico.built(
        base, [pico.patch(base, operations={"lm_head.weight": [pico.dense((5, 6))]})]
    )
    assert set(read_record(build).tensors) == {pico.EMBEDDING}
    assert Checkpoint.open(build).tied == {"lm_head.weight": pico.EMBEDDING}


def test_a_head_with_bytes_of_its_own_is_not_edited_with_the_embedding(pico):
    tensors = pico.tensors()
    base = pico.base_of({**tensors, "lm_head.weight": tensors[pico.EMBEDDING] + np.float16(1)})
    build = pico.built(base, [pico.patch(base, operations={pico.EMBEDDING: [pico.dense((5, 6))]})])
    assert set(read_record(build).tensors) == {pico.EMBEDDING}
    assert Checkpoint.open(build).digest("lm_head.weight") == base.digest("lm_head.weight")


def test_a_target_without_parent_is_refused(pico):
    base = pico.base()
    with pytest.raises(PathRefused, match="not a folder"):
        apply(base, [pico.patch(base)], pico.root / "nowhere" / "build")


def test_progress_is_told_from_beginning_to_end(pico):
    base = pico.base()
    told: list[tuple[str, int, int | None]] = []
    apply(base, [pico.patch(base)], pico.root / "build", progress=lambda *step: told.append(step))
    assert {phase for phase, _, _ in told} == {"writing"}
    steps = [done for _, done, _ in told]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, told[0][2])


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


def test_a_new_folder_may_be_named_by_a_text(pico):
    base = pico.base()
    apply(base, [pico.patch(base)], str(pico.root / "build"))
    assert verify(str(pico.root / "build")) == []


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
