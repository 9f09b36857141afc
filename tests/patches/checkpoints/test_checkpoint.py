"""Checkpoints: every layout that transformers writes, and none of what it should not."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import DigestCache, sha256
from weightpatch.patches.errors import (
    CheckpointRefused,
    DigestMismatch,
    FormatError,
    SizeMismatch,
    Unsupported,
)
from weightpatch.patches.stored_array import blocks

INDEX = "model.safetensors.index.json"
SHARD = "model-00001-of-00002.safetensors"


def edit_index(base: Checkpoint, name: str, shard: object) -> None:
    file = base.path / INDEX
    index = json.loads(file.read_text())
    index["weight_map"][name] = shard
    file.write_text(json.dumps(index))


@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_tensors_are_read_as_stored(pico, dtype: str, shards: int):
    base = pico.base(dtype=dtype, shards=shards)
    for name, bits in pico.tensors(dtype).items():
        assert np.array_equal(base.read(name), bits)
        assert base.tensors[name].shape == bits.shape
        assert base.digest(name) == sha256(bits.tobytes())


def test_a_tensor_can_be_read_in_blocks_of_rows(pico):
    base = pico.base()
    found = list(blocks(base.array(pico.DOWN), 25))
    assert [len(block) for block in found] == [2, 2, 2]
    assert np.array_equal(np.concatenate(found), base.read(pico.DOWN))


def test_a_vector_keeps_its_shape(pico):
    (block,) = blocks(pico.base().array(pico.NORM), 100)
    assert block.shape == (6,)


def test_digests_do_not_depend_on_the_layout(pico):
    one, many = pico.base("one"), pico.base("many", shards=3)
    assert one.digests() == many.digests()
    assert one.fingerprint == many.fingerprint


def test_another_weight_gives_another_fingerprint(pico):
    assert pico.base("one").fingerprint != pico.base("two", seed=1).fingerprint


def test_a_tied_name_means_the_tensor_that_it_shares(pico):
    base = pico.base()
    assert base.tied == {"lm_head.weight": pico.EMBEDDING}
    assert base.resolve("lm_head.weight") == pico.EMBEDDING


@pytest.mark.parametrize("embedding", ["transformer.wte.weight", "wte.weight"])
def test_gpt2_ties_its_head_too(pico, embedding: str):
    base = pico.base_of({embedding: np.zeros((2, 2), np.float32)})
    assert base.resolve("lm_head.weight") == embedding


def test_nothing_is_tied_unless_the_configuration_says_so(pico):
    base = pico.base()
    (base.path / "config.json").write_text("{}")
    assert Checkpoint.open(base.path).tied == {}


def test_a_name_that_is_not_there_is_refused(pico):
    with pytest.raises(CheckpointRefused, match="no tensor 'nothing'"):
        pico.base().resolve("nothing")


def test_the_tokenizer_is_known_by_its_digest(pico):
    base = pico.base()
    assert base.tokenizer_digest == sha256((base.path / "tokenizer.json").read_bytes())


def test_a_checkpoint_may_do_without_tokenizer_and_configuration(pico):
    base = pico.base()
    (base.path / "tokenizer.json").unlink()
    (base.path / "config.json").unlink()
    again = Checkpoint.open(base.path)
    assert again.tokenizer_digest is None
    assert again.config == {}


def test_a_folder_gives_its_name(pico):
    assert pico.base().id == "base"
    assert pico.base("line\nbreak\x1b").id == "line?break?"


def test_a_hub_id_comes_with_its_revision(pico):
    found = Checkpoint.open(pico.base().path, id="org/model", revision="abc")
    assert (found.id, found.revision) == ("org/model", "abc")


def test_a_single_file_comes_before_an_index(pico):
    single, sharded = pico.base("single", seed=1), pico.base("sharded", shards=2)
    os.link(single.path / "model.safetensors", sharded.path / "model.safetensors")
    assert Checkpoint.open(sharded.path).fingerprint == single.fingerprint


@pytest.mark.parametrize(
    "pickle", ["pytorch_model.bin", "model.pt", "model.pth", "consolidated.pkl"]
)
def test_pickles_are_refused_with_a_way_to_convert_them(tmp_path: Path, pickle: str):
    (tmp_path / pickle).write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointRefused) as refusal:
        Checkpoint.open(tmp_path)
    assert "pickle" in refusal.value.message
    assert "save_pretrained" in (refusal.value.hint or "")


def test_a_pickle_that_calls_itself_safetensors_is_refused(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04\x95" + b"\0" * 100)
    with pytest.raises(FormatError, match="pickle"):
        Checkpoint.open(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointRefused, match="holds no checkpoint"):
        Checkpoint.open(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointRefused, match="not a folder"):
        Checkpoint.open(tmp_path / name)


@pytest.mark.parametrize(
    "shard",
    [
        "../base/model-00001-of-00002.safetensors",
        "/etc/passwd",
        "sub/model.safetensors",
        "..",
        "",
        ".hidden.safetensors",
        "model\0.safetensors",
        "x" * 5000 + ".safetensors",
        "weights.bin",
        "nowhere.safetensors",
        "tokenizer.json",
    ],
    ids=lambda shard: repr(shard[:30]),
)
def test_an_index_cannot_name_anything_but_a_shard_beside_it(pico, shard: str):
    base = pico.base(shards=2)
    for name in (".hidden.safetensors", "weights.bin"):
        os.link(base.path / SHARD, base.path / name)
    edit_index(base, pico.DOWN, shard)
    with pytest.raises(CheckpointRefused, match="names the shard"):
        Checkpoint.open(base.path)


@pytest.mark.parametrize("shard", [None, 7, ["a"], {"a": 1}])
def test_an_index_names_files(pico, shard: object):
    base = pico.base(shards=2)
    edit_index(base, pico.DOWN, shard)
    with pytest.raises(CheckpointRefused):
        Checkpoint.open(base.path)


def test_a_missing_shard_is_refused(pico):
    base = pico.base(shards=2)
    (base.path / SHARD).unlink()
    with pytest.raises(CheckpointRefused, match="names the shard"):
        Checkpoint.open(base.path)


@pytest.mark.parametrize("name", ["model.layers.0.mlp.down_proj.weight", "made.up.weight"])
def test_an_index_that_disagrees_with_its_shards_is_refused(pico, name: str):
    base = pico.base(shards=2)
    other = {SHARD, SHARD.replace("00001", "00002")} - {base.tensors[pico.DOWN].file.name}
    edit_index(base, name, other.pop())
    with pytest.raises(CheckpointRefused, match="disagree"):
        Checkpoint.open(base.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"weight_map": []}',
        '{"weight_map": {}}',
        '{"weight_map": {"a": "b", "a": "c"}}',
    ],
)
def test_a_malformed_index_is_refused(tmp_path: Path, text: str):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(CheckpointRefused, match=INDEX):
        Checkpoint.open(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 200_000])
def test_a_malformed_configuration_is_refused(pico, text: str):
    base = pico.base()
    (base.path / "config.json").write_text(text)
    with pytest.raises(CheckpointRefused, match=r"config\.json"):
        Checkpoint.open(base.path)


def test_infinity_in_a_configuration_is_no_flaw(pico):
    base = pico.base()
    (base.path / "config.json").write_text('{"time_step_limit": [0.0, Infinity]}')
    assert Checkpoint.open(base.path).config["time_step_limit"] == [0.0, float("inf")]


def test_a_file_cut_short_is_refused(pico):
    base = pico.base()
    os.truncate(base.path / "model.safetensors", 400)
    with pytest.raises(FormatError):
        Checkpoint.open(base.path)


def test_a_file_that_became_shorter_meanwhile_is_refused(pico):
    base = pico.base()
    os.truncate(base.path / "model.safetensors", 400)
    with pytest.raises(SizeMismatch, match="became shorter"):
        base.read(pico.NORM)
    with pytest.raises(SizeMismatch, match="became shorter"):
        list(blocks(base.array(pico.NORM), 100))


def test_a_type_that_has_no_exact_sum_can_be_hashed_but_not_read(pico):
    base = pico.base()
    file = base.path / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"BF16"', b'"I16" ', 1))
    again = Checkpoint.open(base.path)
    changed = next(name for name, info in again.tensors.items() if info.dtype == "I16")
    assert again.digest(changed) == base.digest(changed)
    with pytest.raises(Unsupported):
        again.read(changed)


def test_digests_that_were_kept_are_not_computed_again(pico, tmp_path: Path):
    base = pico.base()
    cache = DigestCache(tmp_path / "cache")
    digests = Checkpoint.open(base.path, cache=cache).digests()
    (entry,) = cache.folder.iterdir()
    entry.write_text(entry.read_text().replace(digests[pico.DOWN], "0" * 64))
    later = entry.stat().st_mtime_ns + 3_600_000_000_000
    os.utime(entry, ns=(later, later))
    assert Checkpoint.open(base.path, cache=cache).digest(pico.DOWN) == "0" * 64


def flip(base: Checkpoint, name: str) -> None:
    info = base.tensors[name]
    data = bytearray(info.file.read_bytes())
    data[info.start] ^= 1
    info.file.write_bytes(data)


def test_digests_of_a_file_that_changed_before_they_were_taken_are_not_kept(pico, tmp_path: Path):
    cache = DigestCache(tmp_path / "cache")
    opened = Checkpoint.open(pico.base().path, cache=cache)
    flip(opened, pico.DOWN)
    opened.digests()
    assert not cache.folder.exists()


def test_digests_from_before_a_change_are_not_believed_after_it(pico, tmp_path: Path):
    cache = DigestCache(tmp_path / "cache")
    opened = Checkpoint.open(pico.base().path, cache=cache)
    opened.digest(pico.DOWN)
    (entry,) = cache.folder.iterdir()
    kept = entry.read_bytes()
    flip(opened, pico.DOWN)
    opened.digests()
    assert entry.read_bytes() == kept
    later = entry.stat().st_mtime_ns + 3_600_000_000_000
    os.utime(entry, ns=(later, later))
    again = Checkpoint.open(opened.path, cache=cache)
    assert again.digests() == Checkpoint.open(opened.path).digests()
    assert again.digest(pico.DOWN) != opened.digest(pico.DOWN)


def test_a_tensor_that_changed_since_it_was_hashed_is_noticed(pico):
    base = pico.base()
    base.digests()
    flip(base, pico.DOWN)
    base.require_unchanged([pico.UP])
    with pytest.raises(DigestMismatch, match="changed while it was read"):
        base.require_unchanged([pico.DOWN])


def test_a_second_name_for_a_file_is_no_change_of_its_tensors(pico, tmp_path: Path):
    base = pico.base()
    base.digests()
    os.link(base.path / "model.safetensors", tmp_path / "again")
    base.require_unchanged(base.tensors)


@pytest.mark.parametrize(
    ("quantisation", "named"),
    [({"quant_method": "gptq"}, "gptq"), ({"quant_method": "bitsandbytes", "bits": 4}, "bits"),
     ({}, "quantised"), ("strange", "quantised"), ({"quant_method": "\x1b[2J"}, "quantised")],
    ids=str,
)  # fmt: skip
def test_a_quantised_checkpoint_is_refused_by_its_configuration(pico, quantisation, named: str):
    base = pico.base()
    (base.path / "config.json").write_text(json.dumps({"quantization_config": quantisation}))
    with pytest.raises(Unsupported, match=named) as refusal:
        Checkpoint.open(base.path).require_unquantised()
    assert refusal.value.message.isprintable()
    assert "unquantised checkpoint" in str(refusal.value.hint)


def test_a_configuration_without_quantisation_is_fine(pico):
    base = pico.base()
    (base.path / "config.json").write_text('{"quantization_config": null}')
    Checkpoint.open(base.path).require_unquantised()


def twice(pico, *, same: bool) -> Checkpoint:
    """A tied checkpoint that stores its head all the same."""
    tensors = pico.tensors()
    head = tensors[pico.EMBEDDING].copy()
    if not same:
        head[0, 0] += 1
    return pico.base_of({**tensors, "lm_head.weight": head})


def test_a_head_that_is_stored_with_the_same_bytes_is_a_copy(pico):
    base = twice(pico, same=True)
    assert base.resolve("lm_head.weight") == pico.EMBEDDING
    assert base.copies(pico.EMBEDDING) == ["lm_head.weight"]
    assert base.copies(pico.DOWN) == []


def test_a_head_that_is_stored_with_other_bytes_is_not_tied(pico):
    base = twice(pico, same=False)
    assert base.tied == {}
    assert base.resolve("lm_head.weight") == "lm_head.weight"


def test_a_head_that_is_not_stored_has_no_copy(pico):
    assert pico.base().copies(pico.EMBEDDING) == []


def test_a_folder_may_be_named_by_a_text(pico):
    base = pico.base("by-text")
    assert Checkpoint.open(str(base.path)).fingerprint == base.fingerprint
