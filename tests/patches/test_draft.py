"""From operations to a patch: what is promised is what comes out, and the same every time."""

from pathlib import Path

import numpy as np
import pytest
from pico_fixtures import Pico
from weightpatch.patches import summation
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.draft import Origin, own_terms, write_draft
from weightpatch.patches.errors import (
    CheckpointRefused,
    ConflictFound,
    LimitExceeded,
    ManifestError,
    NameRefused,
    NonFinite,
    OffGrid,
    RequestRefused,
    ShapeMismatch,
    TooBig,
    Unsupported,
    WeightpatchError,
)
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank


def bytes_of(patch: Patch) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in patch.files.items()}


def test_the_promised_result_is_that_of_the_arithmetic(pico):
    base = pico.base()
    operations = [pico.lowrank((6, 10), rank=3), pico.lowrank((6, 10), seed=2)]
    patch = pico.patch(base, operations={pico.DOWN: operations})
    bits = summation.patched(base.read(pico.DOWN), "BF16", operations)
    assert patch.manifest.bases[0].result == {pico.DOWN: summation.bits_digest(bits)}


def test_the_same_input_gives_the_same_files(pico):
    base = pico.base()
    other = Pico(pico.root / "again")
    other.root.mkdir()
    assert bytes_of(pico.patch(base)) == bytes_of(other.patch(base))


def test_the_base_is_described_by_what_is_touched(pico):
    base = pico.base()
    record = pico.patch(base).manifest.bases[0]
    assert record.id == "base"
    assert record.tokenizer == base.tokenizer_digest
    assert {name: tensor.sha256 for name, tensor in record.tensors.items()} == {
        pico.DOWN: base.digest(pico.DOWN)
    }


def test_sizes_and_norms_are_those_of_the_delta(pico):
    base = pico.base()
    operation = pico.lowrank((6, 10), rank=3)
    patch = pico.patch(base, operations={pico.DOWN: [operation]})
    (record,) = patch.manifest.operations[pico.DOWN]
    assert (record.kind, record.size, record.source) == ("lowrank", 3, None)
    assert record.norm == pytest.approx(np.linalg.norm(operation.rows(0, 6)))
    assert record.relative_norm == pytest.approx(record.norm / summation.norm(base, pico.DOWN))


@pytest.mark.parametrize(
    ("kind", "stored_as", "size"),
    [
        ("lowrank", "lowrank", 1),
        ("dense", "dense", 60),
        ("sparse", "sparse", 4),
        ("replaced", "replace", 4),
        ("replaced_whole", "replace", 60),
    ],
)
def test_every_kind_is_read_back_as_it_was_written(pico, kind: str, stored_as: str, size: int):
    base = pico.base()
    operation = getattr(pico, kind)((6, 10))
    patch = pico.patch(base, operations={pico.DOWN: [operation]})
    (record,) = patch.manifest.operations[pico.DOWN]
    (found,) = patch.operations[pico.DOWN]
    assert (record.kind, record.size) == (found.kind, found.size) == (stored_as, size)
    assert record.norm == pytest.approx(operation.norm())
    assert {name: part[:].tobytes() for name, part in found.parts.items()} == {
        name: part[:].tobytes() for name, part in operation.parts.items()
    }


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("kind", ["dense", "sparse", "replaced", "replaced_whole"])
def test_values_are_kept_in_the_type_they_were_given_in(pico, kind: str, dtype: str):
    operation = getattr(pico, kind)((6, 10), dtype=dtype)
    patch = pico.patch(pico.base(), operations={pico.DOWN: [operation]})
    (found,) = patch.operations[pico.DOWN]
    part = "delta" if kind == "dense" else "values"
    assert found.parts[part].dtype == operation.parts[part].dtype
    assert np.array_equal(found.parts[part][:], operation.parts[part])


@pytest.mark.parametrize("first", ["replaced", "replaced_whole"])
@pytest.mark.parametrize("second", ["lowrank", "sparse", "replaced"])
def test_a_replaced_entry_that_is_changed_again_is_not_written(pico, first: str, second: str):
    operations = {pico.DOWN: [getattr(pico, kind)((6, 10)) for kind in (first, second)]}
    with pytest.raises(ConflictFound, match="replaced and changed"):
        pico.patch(pico.base(), operations=operations)
    assert list((pico.root / "acme-one").iterdir()) == []


def test_both_names_of_a_tied_tensor_count_when_entries_are_replaced(pico):
    terms = {name: [pico.replaced((5, 6))] for name in ("lm_head.weight", pico.EMBEDDING)}
    with pytest.raises(ConflictFound):
        pico.patch(pico.base(), operations=terms)


def test_a_tensor_of_zeros_has_no_relative_norm(pico):
    base = pico.base_of({pico.DOWN: np.zeros((6, 10), np.float32)})
    (record,) = pico.patch(base).manifest.operations[pico.DOWN]
    assert record.relative_norm == 0


def test_what_is_said_of_a_tied_name_is_said_of_the_one_it_shares(pico):
    base = pico.base()
    head, embedding = (Dense(np.full((5, 6), value, np.float32)) for value in (1, 2))
    patch = pico.patch(base, operations={"lm_head.weight": [head], pico.EMBEDDING: [embedding]})
    assert list(patch.operations) == [pico.EMBEDDING]
    assert len(patch.operations[pico.EMBEDDING]) == 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "acme"}, NameRefused),
        ({"operations": {"made.up": [Dense(np.ones(1, np.float32))]}}, CheckpointRefused),
        ({"operations": {"model.norm.weight": [Dense(np.ones(5, np.float32))]}}, ShapeMismatch),
        (
            {"operations": {"model.norm.weight": [Dense(np.full(6, np.nan, np.float32))]}},
            NonFinite,
        ),
        ({"operations": {"model.norm.weight": [Dense(np.full(6, 1e6, np.float32))]}}, TooBig),
        (
            {"operations": {"model.norm.weight": [Dense(np.full(6, 3e38, np.float32))] * 2}},
            NonFinite,
        ),
        (
            {
                "operations": {
                    "model.layers.0.mlp.down_proj.weight": [
                        LowRank(np.full((6, 2), 1 / 3, np.float32), np.ones((2, 10), np.float32))
                    ]
                }
            },
            OffGrid,
        ),
        ({"auxiliary": {"w::aux.keys": np.full((1, 1), np.inf, np.float32)}}, NonFinite),
        ({"auxiliary": {"not a key": np.ones(1, np.float32)}}, NameRefused),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_a_reader_would_refuse_is_not_written(pico, changes, error):
    base = pico.base()
    changes = {"name": "acme/one", **changes}
    with pytest.raises(error):
        pico.patch(base, **changes)


def test_requests_that_a_reader_would_refuse_are_not_written(pico):
    with pytest.raises(RequestRefused, match="same id"):
        pico.patch(pico.base(), requests=[pico.REQUEST, pico.REQUEST])
    assert not (pico.root / "acme-one" / "delta.safetensors").exists()


def test_a_scalar_cannot_be_patched(pico):
    base = pico.base_of({"scale": np.ones((), np.float32)})
    with pytest.raises(ShapeMismatch, match="scalar"):
        pico.patch(base, operations={"scale": [Dense(np.ones((), np.float32))]})


def test_a_type_without_an_exact_sum_cannot_be_patched(pico):
    base = pico.base()
    file = base.path / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"BF16"', b'"I16" '))
    with pytest.raises(Unsupported):
        pico.patch(Checkpoint.open(base.path))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"created": "today"}, ManifestError),
        ({"author": "ada\x1b[2J"}, ManifestError),
        ({"message": "x" * 10_001}, LimitExceeded),
        ({"parents": ("acme/one@1",)}, ManifestError),
        ({"supersedes": ""}, ManifestError),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_origin_that_a_reader_would_refuse_is_refused(
    pico, tmp_path: Path, changes: dict[str, object], error: type[WeightpatchError]
):
    origin = Origin(
        **{"name": "a/b", "author": "ada", "created": "2026-01-31T12:00:00Z", **changes}
    )
    terms = own_terms({pico.DOWN: [pico.lowrank((6, 10))]})
    with pytest.raises(error):
        write_draft(tmp_path, pico.base(), terms, {}, [pico.REQUEST], pico.method(), origin)
