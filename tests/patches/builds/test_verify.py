"""A build that was changed after it was made is found out."""

import os
from pathlib import Path

import pytest
from weightpatch.patches.builds.record import read_record
from weightpatch.patches.builds.verify import Mismatch, compare, verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.errors import FormatError


@pytest.fixture
def build(pico) -> Path:
    base = pico.base()
    return pico.built(base, [pico.patch(base)])


def flip(build: Path, name: str) -> None:
    info = Checkpoint.open(build).tensors[name]
    with info.file.open("r+b") as file:
        file.seek(info.start)
        (byte,) = file.read(1)
        file.seek(info.start)
        file.write(bytes([byte ^ 1]))


def test_an_untouched_build_is_as_recorded(build: Path):
    assert verify(build) == []


def test_a_flipped_bit_is_found(pico, build: Path):
    flip(build, pico.DOWN)
    (mismatch,) = verify(build)
    expected = read_record(build).result[pico.DOWN].sha256
    assert mismatch == Mismatch(pico.DOWN, expected, Checkpoint.open(build).digest(pico.DOWN))


def test_bytes_that_pass_for_another_type_are_found(pico, build: Path):
    file = build / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"BF16"', b'"F16" '))
    (mismatch,) = verify(build)
    assert mismatch.found == "F16 [6, 10]"


def test_a_tensor_that_is_gone_is_found(pico, build: Path):
    file = build / "model.safetensors"
    data = file.read_bytes().replace(pico.DOWN.encode(), pico.DOWN.upper().encode())
    file.write_bytes(data)
    (mismatch,) = verify(build)
    assert mismatch == Mismatch(pico.DOWN, mismatch.expected, "missing")


def test_a_build_cut_short_cannot_be_verified(build: Path):
    os.truncate(build / "model.safetensors", 400)
    with pytest.raises(FormatError):
        verify(build)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_changed_file_beside_the_weights_is_found(build: Path, name: str):
    expected = sha256_file(build / name)
    (build / name).write_text("{}")
    (mismatch,) = verify(build)
    assert mismatch == Mismatch(name, expected, sha256_file(build / name))


def test_a_file_that_is_gone_is_found(build: Path):
    (build / "tokenizer.json").unlink()
    (mismatch,) = verify(build)
    assert (mismatch.what, mismatch.found) == ("tokenizer.json", "missing")


@pytest.mark.parametrize("name", ["modeling_mine.py", "adapter_config.json", "pytorch_model.bin"])
def test_a_file_that_was_added_is_found(build: Path, name: str):
    (build / name).write_text("mine")
    assert verify(build) == [Mismatch(name, "missing", "a file")]


def test_hidden_files_do_not_matter(build: Path):
    (build / ".DS_Store").write_text("")
    assert verify(build) == []


@pytest.mark.parametrize("name", ["Model card\u00a0v1.txt", "two\nlines.txt", "\u202e.txt"])
def test_files_of_any_name_are_carried_and_verified(pico, name: str):
    base = pico.base()
    (base.path / name).write_text("mine")
    assert verify(pico.built(base, [pico.patch(base)])) == []


def test_an_undo_file_that_was_changed_is_found(pico):
    base = pico.base()
    patch = pico.patch(base, operations={pico.DOWN: [pico.sparse((6, 10))]})
    build = pico.built(base, [patch])
    data = bytearray((build / "weightpatch.undo").read_bytes())
    data[-1] ^= 1
    (build / "weightpatch.undo").write_bytes(data)
    (mismatch,) = verify(build)
    assert mismatch.what == "weightpatch.undo"


def test_untouched_tensors_are_those_of_the_base(pico, build: Path):
    assert compare(build, Checkpoint.open(pico.root / "base")) == []
    assert compare(str(build), pico.base("sharded", shards=3)) == []


def test_an_untouched_tensor_that_was_changed_is_found(pico, build: Path):
    base = Checkpoint.open(pico.root / "base")
    flip(build, pico.UP)
    flip(build, pico.DOWN)
    (found,) = compare(build, base)
    assert found == Mismatch(pico.UP, base.digest(pico.UP), Checkpoint.open(build).digest(pico.UP))


def test_tensors_that_only_one_of_the_two_has_are_found(pico, build: Path):
    tensors = pico.tensors()
    tensors["made.up"] = tensors.pop(pico.NORM)
    found = compare(build, pico.base_of(tensors, "other"))
    assert found == [
        Mismatch("made.up", "F32 [6]", "missing"),
        Mismatch(pico.NORM, "missing", "F32 [6]"),
    ]


def test_an_untouched_tensor_of_another_shape_is_found(pico, build: Path):
    tensors = pico.tensors()
    tensors[pico.UP] = tensors[pico.UP].reshape(6, 10)
    found = compare(build, pico.base_of(tensors, "other"))
    assert found == [Mismatch(pico.UP, "BF16 [6, 10]", "BF16 [10, 6]")]
