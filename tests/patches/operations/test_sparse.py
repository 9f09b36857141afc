"""Sparse deltas: numbers of any type at listed places, zero elsewhere, and every refusal."""

import numpy as np
import pytest
from pico_fixtures import stored
from weightpatch.patches.errors import FormatError
from weightpatch.patches.operations import entries
from weightpatch.patches.operations.sparse import Sparse

INDICES = np.array([1, 2, 7, 11], "<i4")
VALUES = np.array([1.0, -2.0, 0.5, 4.0], "<f4")
DELTA = np.array([[0, 1, -2], [0, 0, 0], [0, 0.5, 0], [0, 0, 4]])
PARTS = {"indices": INDICES, "values": VALUES}


def test_it_is_read_back_from_its_parts() -> None:
    term = Sparse.read(PARTS, (4, 3))
    assert (term.kind, term.shape, term.size) == ("sparse", (4, 3), 4)
    again = Sparse.read(term.parts, term.shape)
    assert again.parts["indices"] is INDICES
    assert again.parts["values"] is VALUES


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("kind", ["<i4", "<i8"])
def test_rows_hold_the_listed_numbers(kind: str, dtype: str) -> None:
    parts = {"indices": INDICES.astype(kind), "values": stored(VALUES, dtype)}
    term = Sparse.read(parts, (4, 3))
    assert np.array_equal(term.rows(0, 4), DELTA)
    assert term.norm() == pytest.approx(np.linalg.norm(DELTA))


@pytest.mark.parametrize("chunk", [1, 2, 100])
@pytest.mark.parametrize("start", range(4))
def test_rows_do_not_depend_on_blocks_or_chunks(monkeypatch, chunk: int, start: int) -> None:
    monkeypatch.setattr(entries, "CHUNK", chunk)
    term = Sparse.read(PARTS, (4, 3))
    for stop in range(start + 1, 5):
        assert np.array_equal(term.rows(start, stop), DELTA[start:stop])


@pytest.mark.parametrize("shape", [(12,), (2, 6), (2, 3, 2), (12, 1)])
def test_indices_are_flat_whatever_the_shape(shape: tuple[int, ...]) -> None:
    rows = Sparse.read(PARTS, shape).rows(0, shape[0])
    assert rows.shape == (shape[0], 12 // shape[0])
    assert np.array_equal(rows.ravel(), DELTA.ravel())


def test_every_entry_may_be_listed() -> None:
    parts = {"indices": np.arange(12, dtype="<i8"), "values": DELTA.ravel().astype("<f4")}
    assert np.array_equal(Sparse.read(parts, (4, 3)).rows(0, 4), DELTA)


@pytest.mark.parametrize("names", [[], ["indices"], ["values"], ["indices", "values", "x"]])
def test_other_parts_are_refused(names: list[str]) -> None:
    with pytest.raises(FormatError, match="needs indices and values"):
        Sparse.read({name: PARTS.get(name, VALUES) for name in names}, (4, 3))
