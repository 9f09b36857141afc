"""A build knows what it was made of, and notices when it is that no longer."""

import json
import os
from pathlib import Path

import pytest
from weightpatch.patches.builds.record import (
    BuildRecord,
    is_build,
    read_record,
)
from weightpatch.patches.builds.underlying import find_tensors
from weightpatch.patches.builds.verify import Mismatch, compare, verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import CheckpointRefused, FormatError, ManifestError
from weightpatch.patches.format import jsonfile

RECORD = "weightpatch.json"


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


def test_a_build_is_known_by_its_record(pico, build: Path):
    assert is_build(build)
    assert not is_build(pico.root / "base")


def test_a_record_survives_being_written_and_read(build: Path):
    data = (build / RECORD).read_bytes()
    assert BuildRecord.from_bytes(data).to_bytes() == data


def test_a_record_names_what_was_applied(pico, build: Path):
    record = read_record(build)
    assert record.base_id == "base"
    assert [applied.label for applied in record.patches] == ["acme/one@1"]


def test_an_untouched_build_is_as_recorded(build: Path):
    assert verify(build) == []


def test_a_flipped_bit_is_found(pico, build: Path):
    flip(build, pico.DOWN)
    (mismatch,) = verify(build)
    assert mismatch.tensor == pico.DOWN
    assert mismatch.expected == read_record(build).result[pico.DOWN]


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
    assert mismatch.found == "missing"
    with pytest.raises(CheckpointRefused, match="is missing"):
        find_tensors(read_record(build), build)


def test_a_build_cut_short_cannot_be_verified(build: Path):
    os.truncate(build / "model.safetensors", 400)
    with pytest.raises(FormatError):
        verify(build)


def test_a_folder_without_record_is_no_build(tmp_path: Path):
    with pytest.raises(CheckpointRefused, match="not a build"):
        read_record(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "weightpatch-build/2"),
        ("format", 1),
        ("base_id", None),
        ("base_revision", 1),
        ("tensors", {}),
        ("tensors", {"weight": {"dtype": "F32", "shape": [1], "sha256": "0" * 64}}),
        ("patches", {}),
        ("patches", [{}]),
        ("result", {}),
        ("result", {"weight": "x"}),
        ("odd", 1),
    ],
)
def test_a_record_that_is_none_is_refused(build: Path, field: str, value: object):
    record = json.loads((build / RECORD).read_bytes())
    (build / RECORD).write_bytes(jsonfile.canonical({**record, field: value}, what=RECORD))
    with pytest.raises(ManifestError, match=RECORD):
        read_record(build)


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
