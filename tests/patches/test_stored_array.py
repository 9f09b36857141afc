"""An array in a file: what the same array in memory would give, and noticed if cut short."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.errors import SizeMismatch
from weightpatch.patches.stored_array import StoredArray, blocks

START = 24


def stored(path: Path, array: np.ndarray) -> StoredArray:
    path.write_bytes(b"x" * START + array.tobytes() + b"y" * 8)
    return StoredArray(path, array.dtype, array.shape, START)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """One file that the examples of a property write again and again."""
    return tmp_path_factory.mktemp("stored") / "file"


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.sampled_from(["<f4", "<f2", "<u2", "<i8"]),
    st.none() | st.integers(-6, 6),
    st.none() | st.integers(-6, 6),
)
def test_rows_are_those_of_the_array(file: Path, shape, kind: str, first, stop) -> None:
    array = np.arange(np.prod(shape), dtype=kind).reshape(shape)
    found = stored(file, array)
    assert (found.shape, found.ndim, found.dtype) == (array.shape, array.ndim, array.dtype)
    assert (found.size, found.nbytes) == (array.size, array.nbytes)
    rows = found[first:stop]
    assert (rows.shape, rows.dtype) == (array[first:stop].shape, array.dtype)
    assert np.array_equal(rows, array[first:stop])


def test_rows_are_the_callers_own(file: Path) -> None:
    found = stored(file, np.ones((2, 2), "<f4"))
    found[:][:] = 5
    assert (found[:] == 1).all()


@pytest.mark.parametrize("elements", [1, 5, 12, 100])
def test_blocks_together_are_the_whole(file: Path, elements: int) -> None:
    array = np.arange(42, dtype="<f4").reshape(7, 3, 2)
    found = list(blocks(stored(file, array), elements))
    assert np.array_equal(np.concatenate(found), array)
    assert max(len(block) for block in found) == max(1, min(7, elements // 6))


def test_a_file_cut_short_is_noticed(file: Path) -> None:
    found = stored(file, np.ones((4, 2), "<f4"))
    os.truncate(file, START + 20)
    assert found[:2].size == 4
    with pytest.raises(SizeMismatch, match="became shorter"):
        found[2:]


def test_only_the_rows_that_are_asked_for_are_read(file: Path) -> None:
    with file.open("wb") as handle:
        handle.truncate(1 << 34)
    found = StoredArray(file, np.dtype("<f4"), (1 << 20, 1 << 12), 0)
    tracemalloc.start()
    assert not found[1 << 19 : (1 << 19) + 2].any()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 16
