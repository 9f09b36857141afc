"""A build knows what it was made of."""

import json
from pathlib import Path

import pytest
from weightpatch.patches.builds.record import (
    MAX_BYTES,
    BuildRecord,
    is_build,
    read_record,
)
from weightpatch.patches.errors import CheckpointRefused, LimitExceeded, ManifestError
from weightpatch.patches.format import jsonfile

RECORD = "weightpatch.json"
TENSOR = {"dtype": "F32", "shape": [1], "sha256": "0" * 64}


@pytest.fixture
def build(pico) -> Path:
    base = pico.base()
    return pico.built(base, [pico.patch(base)])


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


def test_a_record_says_which_patch_did_what(pico, build: Path):
    record = read_record(build)
    (operation,) = record.operations[pico.DOWN]
    assert (operation.patch, operation.kind) == (record.patches[0].digest, "lowrank")
    assert operation.size == 1
    assert operation.relative_norm > 0


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
        ("tensors", {"weight": TENSOR}),
        ("patches", {}),
        ("patches", [{}]),
        ("result", {}),
        ("result", {"weight": "x"}),
        ("result", {"weight": TENSOR}),
        ("operations", {}),
        ("operations", {"weight": {}}),
        ("files", {"../config.json": "0" * 64}),
        ("files", {"": "0" * 64}),
        ("files", {"..": "0" * 64}),
        ("files", {"a\0b": "0" * 64}),
        ("files", {"config.json": "x"}),
        ("files", []),
        ("originals", {"config.json": 1}),
        ("originals", {"../config.json": "{}"}),
        ("originals", {"new.json": "{}"}),
        ("odd", 1),
    ],
)
def test_a_record_that_is_none_is_refused(build: Path, field: str, value: object):
    record = json.loads((build / RECORD).read_bytes())
    (build / RECORD).write_bytes(jsonfile.canonical({**record, field: value}, what=RECORD))
    with pytest.raises(ManifestError, match=RECORD):
        read_record(build)


def test_operations_of_a_patch_that_is_not_named_are_refused(build: Path):
    record = json.loads((build / RECORD).read_bytes())
    record["patches"][0]["digest"] = "0" * 64
    (build / RECORD).write_bytes(jsonfile.canonical(record, what=RECORD))
    with pytest.raises(ManifestError, match="does not name"):
        read_record(build)


def test_a_record_has_a_limit(build: Path):
    with (build / RECORD).open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(LimitExceeded):
        read_record(build)
