"""Applying to disk: the promised bits, everything else as it was, and all of it or nothing."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from operation_strategies import dtypes
from pico_fixtures import Pico
from weightpatch.patches import summation
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.record import read_record
from weightpatch.patches.builds.verify import verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256_file
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


def test_progress_is_told_from_beginning_to_end(pico):
    base = pico.base()
    told: list[tuple[str, int, int | None]] = []
    apply(base, [pico.patch(base)], pico.root / "build", progress=lambda *step: told.append(step))
    assert {phase for phase, _, _ in told} == {"writing"}
    steps = [done for _, done, _ in told]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, told[0][2])


def test_a_new_folder_may_be_named_by_a_text(pico):
    base = pico.base()
    apply(base, [pico.patch(base)], str(pico.root / "build"))
    assert verify(str(pico.root / "build")) == []
