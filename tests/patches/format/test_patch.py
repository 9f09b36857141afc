"""A patch as files: whole, its own, and agreeing with its manifest, or refused."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pico_fixtures import stored
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import (
    DigestMismatch,
    ExtraFile,
    FormatError,
    LimitExceeded,
    ManifestError,
    NonFinite,
    OffGrid,
    PathRefused,
    PluginMissing,
    RequestRefused,
    ShapeMismatch,
    SizeMismatch,
)
from weightpatch.patches.format.manifest import FileRecord
from weightpatch.patches.format.patch import Draft, Patch, content_digest
from weightpatch.patches.format.safetensors_file import read_tensors, write_tensors

FILES = ["patch.json", "delta.safetensors", "requests.jsonl"]


@pytest.fixture
def patch(pico) -> Patch:
    return pico.patch(pico.base())


@pytest.fixture
def folder(patch: Patch) -> Path:
    return patch.files["patch.json"].parent


def reseal(pico, patch: Patch, name: str, data: bytes) -> Patch:
    """Put other bytes in the place of a file, and a manifest that promises them."""
    (patch.files[name].parent / name).write_bytes(data)
    record = FileRecord(sha256(data), len(data))
    return Patch.open(pico.rewrite(patch, files={**patch.manifest.files, name: record}))


def reseal_delta(pico, patch: Patch, metadata: str | None = None, **changes: object) -> Patch:
    """The patch with other arrays in its delta; None takes one away."""
    path = patch.files["delta.safetensors"]
    tensors = dict(read_tensors(path)[0])
    for key, array in changes.items():
        tensors[f"{pico.DOWN}::{key}"] = array
    kept = {key: array for key, array in tensors.items() if array is not None}
    write_tensors(path, kept, metadata)
    return reseal(pico, patch, "delta.safetensors", path.read_bytes())


def test_it_holds_what_was_written(pico, patch: Patch):
    operation = pico.lowrank((6, 10), seed=1)
    (found,) = patch.operations[pico.DOWN]
    assert np.array_equal(found.rows(0, 6), operation.rows(0, 6))
    assert patch.requests == (pico.REQUEST,)
    assert patch.label == "acme/one@1"


def test_its_digest_is_that_of_its_manifest(patch: Patch, folder: Path):
    assert patch.digest == sha256((folder / "patch.json").read_bytes())


def test_a_small_patch_is_small(folder: Path):
    assert sum(file.stat().st_size for file in folder.iterdir()) < 32 << 10


def test_auxiliary_arrays_are_kept_and_not_applied(pico):
    keys = np.ones((1, 10), np.float32)
    patch = pico.patch(pico.base(), auxiliary={f"{pico.DOWN}::aux.keys": keys})
    assert np.array_equal(patch.auxiliary[f"{pico.DOWN}::aux.keys"], keys)
    assert len(patch.operations[pico.DOWN]) == 1


def test_card_and_attestations_do_not_belong_to_it(patch: Patch, folder: Path):
    (folder / "README.md").write_text("a card")
    (folder / "attestations").mkdir()
    assert Patch.open(folder).digest == patch.digest


def test_a_draft_gets_its_number_later(patch: Patch, folder: Path):
    assert Draft(patch.manifest, folder).numbered(5).label == "acme/one@5"


def test_versions_that_do_the_same_have_the_same_content(pico, patch: Patch):
    other = replace(patch.manifest, name="ada/two", version=9, message="again")
    assert content_digest(other) == content_digest(patch.manifest)


def test_versions_for_different_bases_do_not_do_the_same(pico, patch: Patch):
    base = patch.manifest.bases[0]
    tensors = {name: replace(record, sha256="0" * 64) for name, record in base.tensors.items()}
    other = replace(patch.manifest, bases=(replace(base, tensors=tensors),))
    assert content_digest(other) != content_digest(patch.manifest)


@pytest.mark.parametrize("file", FILES[1:])
def test_every_flipped_bit_is_noticed(folder: Path, file: str):
    data = (folder / file).read_bytes()
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        (folder / file).write_bytes(flipped)
        with pytest.raises(DigestMismatch, match=file):
            Patch.open(folder)


@pytest.mark.parametrize("file", FILES[1:])
@pytest.mark.parametrize("change", [lambda data: data + b"\0", lambda data: data[:-1]])
def test_a_file_longer_or_shorter_than_promised_is_refused(folder: Path, file: str, change):
    path = folder / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(SizeMismatch, match=file):
        Patch.open(folder)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_refused(folder: Path, file: str):
    (folder / file).unlink()
    with pytest.raises(ManifestError, match=f"{file} is missing"):
        Patch.open(folder)


@pytest.mark.parametrize(
    "name", ["evil.py", "delta.safetensors.bak", ".git", ".github", "PATCH.JSON", "con", "a\x1b[2J"]
)
def test_a_file_that_does_not_belong_is_refused(folder: Path, name: str):
    (folder / name).touch()
    with pytest.raises(ExtraFile):
        Patch.open(folder)


def test_a_folder_that_does_not_belong_is_refused(folder: Path):
    (folder / "more").mkdir()
    with pytest.raises(ExtraFile):
        Patch.open(folder)


@pytest.mark.parametrize("file", [*FILES, "README.md"])
def test_a_link_is_refused(folder: Path, tmp_path: Path, file: str):
    (folder / "README.md").touch()
    real = (folder / file).rename(tmp_path / "real")
    (folder / file).symlink_to(real)
    with pytest.raises(PathRefused, match="not a regular file"):
        Patch.open(folder)


@pytest.mark.parametrize("file", [*FILES, "README.md"])
def test_a_pipe_is_refused_and_not_waited_for(folder: Path, file: str):
    (folder / file).unlink(missing_ok=True)
    os.mkfifo(folder / file)
    with pytest.raises(PathRefused, match="not a regular file"):
        Patch.open(folder)


@pytest.mark.parametrize("file", FILES)
def test_a_pipe_among_files_from_anywhere_is_refused_too(patch: Patch, tmp_path: Path, file: str):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PathRefused):
        Patch.from_files({**patch.files, file: tmp_path / "pipe"})


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str):
    (tmp_path / "file").touch()
    with pytest.raises(PathRefused, match="not a folder"):
        Patch.open(tmp_path / name)


def test_files_may_lie_anywhere_under_any_name(pico, patch: Patch, tmp_path: Path):
    moved = {
        name: path.rename(tmp_path / str(number))
        for number, (name, path) in enumerate(patch.files.items())
    }
    assert Patch.from_files(moved).requests == (pico.REQUEST,)


def test_files_that_went_away_are_missed(patch: Patch, folder: Path):
    (folder / "delta.safetensors").unlink()
    with pytest.raises(ManifestError, match="missing"):
        _ = patch.operations


def test_a_manifest_larger_than_its_limit_is_not_read(folder: Path):
    (folder / "patch.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(LimitExceeded):
        Patch.open(folder)


def test_requests_may_be_as_large_as_the_limit_and_no_larger(pico, folder: Path, monkeypatch):
    size = (folder / "requests.jsonl").stat().st_size
    limit = "weightpatch.patches.format.patch.MAX_REQUESTS_BYTES"
    monkeypatch.setattr(limit, size)
    assert Patch.open(folder).requests
    monkeypatch.setattr(limit, size - 1)
    with pytest.raises(LimitExceeded):
        Patch.open(folder)
    with pytest.raises(LimitExceeded):
        pico.patch(pico.base("other"), "acme/two")
    assert not list((pico.root / "acme-two").iterdir())


def test_requests_that_are_none_are_refused(pico, patch: Patch):
    broken = reseal(pico, patch, "requests.jsonl", b"{}\n")
    with pytest.raises(RequestRefused):
        _ = broken.requests


def test_a_tensor_that_the_manifest_does_not_declare_is_refused(pico, patch: Patch):
    manifest = patch.manifest
    renamed = {pico.UP: manifest.operations[pico.DOWN]}
    base = manifest.bases[0]
    bases = (
        replace(
            base,
            tensors={pico.UP: base.tensors[pico.DOWN]},
            result={pico.UP: base.result[pico.DOWN]},
        ),
    )
    broken = Patch.open(pico.rewrite(patch, operations=renamed, bases=bases))
    with pytest.raises(ManifestError, match="does not declare"):
        _ = broken.operations


def test_a_declared_operation_that_is_missing_is_refused(pico, patch: Patch):
    record = patch.manifest.operations[pico.DOWN][0]
    broken = Patch.open(pico.rewrite(patch, operations={pico.DOWN: (record, record)}))
    with pytest.raises(ManifestError, match="declare different operations"):
        _ = broken.operations


def test_an_operation_that_is_not_declared_is_refused(pico, patch: Patch):
    broken = reseal_delta(
        pico,
        patch,
        **{"lowrank.1.A": np.ones((6, 1), np.float32), "lowrank.1.B": np.ones((1, 10), np.float32)},
    )
    with pytest.raises(ManifestError, match="declare different operations"):
        _ = broken.operations


@pytest.mark.parametrize(
    ("field", "value"), [("kind", "dense"), ("size", 2), ("norm", 0.0), ("norm", 1e6)]
)
def test_a_manifest_that_contradicts_its_delta_is_refused(pico, patch: Patch, field: str, value):
    record = replace(patch.manifest.operations[pico.DOWN][0], **{field: value})
    broken = Patch.open(pico.rewrite(patch, operations={pico.DOWN: (record,)}))
    with pytest.raises(ManifestError, match=r"delta"):
        _ = broken.operations


def test_a_norm_may_differ_in_its_last_digits(pico, patch: Patch):
    record = patch.manifest.operations[pico.DOWN][0]
    rounded = replace(record, norm=record.norm * (1 + 1e-9))
    assert Patch.open(pico.rewrite(patch, operations={pico.DOWN: (rounded,)})).operations


def test_a_shape_that_contradicts_the_delta_is_refused(pico, patch: Patch):
    base = patch.manifest.bases[0]
    tensors = {pico.DOWN: replace(base.tensors[pico.DOWN], shape=(10, 6))}
    broken = Patch.open(pico.rewrite(patch, bases=(replace(base, tensors=tensors),)))
    with pytest.raises(ShapeMismatch):
        _ = broken.operations


@pytest.mark.parametrize("metadata", ["weightpatch/2", ""])
def test_metadata_that_contradicts_the_manifest_is_refused(pico, patch: Patch, metadata: str):
    broken = reseal_delta(pico, patch, metadata)
    with pytest.raises(ManifestError, match="metadata"):
        _ = broken.operations


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"lowrank.0.B": None}, FormatError),
        ({"lowrank.0.C": np.ones(1, np.float32)}, FormatError),
        ({"lowrank.0.A": np.ones((6, 2), np.float32)}, ShapeMismatch),
        ({"lowrank.0.A": np.full((6, 1), np.nan, np.float32)}, NonFinite),
        ({"lowrank.0.B": np.full((1, 10), np.inf, np.float32)}, NonFinite),
        ({"lowrank.0.A": np.full((6, 1), 1 / 3, np.float32)}, OffGrid),
    ],
    ids=str,
)
def test_a_delta_that_is_no_operation_is_refused(pico, patch: Patch, changes, error):
    broken = reseal_delta(pico, patch, **changes)
    with pytest.raises(error):
        _ = broken.operations


def test_auxiliary_arrays_must_be_finite(pico, patch: Patch):
    broken = reseal_delta(pico, patch, **{"aux.keys": np.full((1, 10), np.nan, np.float32)})
    with pytest.raises(NonFinite):
        _ = broken.auxiliary


def test_an_operation_that_is_not_installed_still_opens(pico, patch: Patch):
    arrays = {"lowrank.0.A": None, "lowrank.0.B": None, "magic.0.x": np.ones(1, np.float32)}
    record = replace(patch.manifest.operations[pico.DOWN][0], kind="magic")
    foreign = replace(
        reseal_delta(pico, patch, **arrays).manifest, operations={pico.DOWN: (record,)}
    )
    opened = Patch.open(pico.rewrite(replace(patch, manifest=foreign)))
    assert opened.requests == (pico.REQUEST,)
    with pytest.raises(PluginMissing):
        _ = opened.operations


def test_a_folder_may_be_named_by_a_text(patch: Patch, folder: Path):
    assert Patch.open(str(folder)).digest == patch.digest


def test_arrays_that_are_not_applied_have_a_limit(pico, monkeypatch):
    auxiliary = {f"{pico.DOWN}::aux.keys": np.ones((4, 10), np.float32)}
    base = pico.base("limited")
    patch = pico.patch(base, "acme/limited", auxiliary=auxiliary)
    monkeypatch.setattr("weightpatch.patches.format.patch.MAX_AUXILIARY_BYTES", 160)
    assert patch.auxiliary
    monkeypatch.setattr("weightpatch.patches.format.patch.MAX_AUXILIARY_BYTES", 159)
    with pytest.raises(LimitExceeded, match="not applied"):
        _ = Patch.open(patch.files["patch.json"].parent).operations
    with pytest.raises(LimitExceeded, match="not applied"):
        pico.patch(base, "acme/again", auxiliary=auxiliary)


def test_a_delta_has_a_limit(folder: Path, monkeypatch):
    size = (folder / "delta.safetensors").stat().st_size
    monkeypatch.setattr("weightpatch.patches.format.patch.MAX_DELTA_BYTES", size)
    assert Patch.open(folder)
    monkeypatch.setattr("weightpatch.patches.format.patch.MAX_DELTA_BYTES", size - 1)
    with pytest.raises(LimitExceeded):
        Patch.open(folder)


def test_a_patch_without_requests_is_not_written(pico):
    with pytest.raises(RequestRefused, match="no request"):
        pico.patch(pico.base("quiet"), "acme/quiet", requests=[])


def test_requests_of_blank_lines_alone_are_refused(pico, patch: Patch, folder: Path):
    (folder / "requests.jsonl").write_bytes(b"\n")
    files = {**patch.manifest.files, "requests.jsonl": FileRecord(sha256(b"\n"), 1)}
    with pytest.raises(RequestRefused, match="no request"):
        _ = Patch.open(pico.rewrite(patch, files=files)).requests


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_auxiliary_arrays_are_read_as_the_numbers_that_they_stand_for(pico, dtype: str):
    keys = np.array([[1.0, -2.5, 0.0, 96.0]], np.float32)
    patch = pico.patch(pico.base(), auxiliary={f"{pico.DOWN}::aux.keys": stored(keys, dtype)})
    found = patch.auxiliary[f"{pico.DOWN}::aux.keys"]
    assert found.dtype == np.float32
    assert found.tobytes() == keys.tobytes()


def test_auxiliary_arrays_of_other_types_stay_as_they_are(pico):
    for number, kind in enumerate(("<f8", "<i4", "<i8")):
        kept = {f"{pico.DOWN}::aux.keys": np.ones((1, 4), kind)}
        patch = pico.patch(pico.base(f"b{number}"), f"acme/p{number}", auxiliary=kept)
        assert patch.auxiliary[f"{pico.DOWN}::aux.keys"].dtype == kind


@pytest.mark.parametrize("bits", [0x7FC0, 0x7F80, 0xFF80])
def test_bfloat16_auxiliary_arrays_that_are_not_finite_are_refused(pico, patch: Patch, bits: int):
    broken = np.full((1, 10), bits, "<u2")
    changed = reseal_delta(pico, patch, **{"aux.keys": broken})
    with pytest.raises(NonFinite, match=r"aux\.keys"):
        _ = changed.auxiliary
    with pytest.raises(NonFinite, match=r"aux\.keys"):
        pico.patch(pico.base("b"), "acme/b", auxiliary={f"{pico.DOWN}::aux.keys": broken})
