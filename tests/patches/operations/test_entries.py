"""Listed entries: found again in any range, whatever the chunks, and nothing else let in."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from weightpatch.patches.errors import FormatError, InputError, NonFinite, ShapeMismatch
from weightpatch.patches.format.safetensors_file import open_tensors, write_tensors
from weightpatch.patches.operations import entries
from weightpatch.patches.operations.entries import Entries

SIZE = 60
places = st.sets(st.integers(0, SIZE - 1), min_size=1).map(sorted)
edges = st.integers(0, SIZE + 3)


def listed(indices: list[int], kind: str = "<i4") -> Entries:
    found = Entries(np.array(indices, kind), np.arange(len(indices), dtype=np.float32) + 1)
    found.check(SIZE)
    return found


@pytest.fixture(params=[1, 2, 3, 7, 1 << 14], ids=lambda size: f"chunks of {size}")
def chunk(request, monkeypatch) -> int:
    monkeypatch.setattr(entries, "CHUNK", request.param)
    return request.param


@given(places, edges, edges, st.integers(1, 5), st.sampled_from(["<i4", "<i8"]))
def test_those_of_a_range_are_found_with_their_values(
    indices: list[int], first: int, length: int, chunk: int, kind: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "CHUNK", chunk)
        found, values = listed(indices, kind).between(first, first + length)
    expected = [(i - first, n + 1) for n, i in enumerate(indices) if first <= i < first + length]
    assert found.dtype == np.int64
    assert list(zip(found.tolist(), values.tolist(), strict=True)) == expected


@given(places, places, st.integers(1, 5))
def test_two_lists_meet_where_they_have_an_entry_in_common(
    one: list[int], other: list[int], chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "CHUNK", chunk)
        assert listed(one).meets(listed(other, "<i8")) == bool(set(one) & set(other))


def test_a_list_that_stays_in_its_file_is_read_alike(tmp_path, chunk: int) -> None:
    indices = [0, 1, 5, 8, 9, 30, 59]
    arrays = {
        "w::sparse.0.indices": np.array(indices, "<i8"),
        "w::sparse.0.values": np.ones(7, "<f2"),
    }
    write_tensors(tmp_path / "delta.safetensors", arrays)
    tensors, _ = open_tensors(tmp_path / "delta.safetensors")
    found = Entries(tensors["w::sparse.0.indices"], tensors["w::sparse.0.values"])
    found.check(SIZE)
    assert found.between(5, 31)[0].tolist() == [0, 3, 4, 25]
    assert found.norm() == pytest.approx(np.sqrt(7))
    assert found.meets(listed([2, 58, 59]))
    assert not found.meets(listed([2, 58]))


def test_the_first_and_the_last_entry_of_a_tensor_can_be_listed(chunk: int) -> None:
    assert listed([0, SIZE - 1]).between(0, SIZE)[0].tolist() == [0, SIZE - 1]


LAST_32, LAST_64 = 2**31 - 1, 2**63 - 1


@pytest.mark.parametrize(
    ("indices", "kind", "error"),
    [
        pytest.param([3, 3], "<i4", FormatError, id="P13-twice"),
        pytest.param([3, 1], "<i4", FormatError, id="P13-unsorted"),
        pytest.param([0, 2, 4, 3], "<i8", FormatError, id="P13-unsorted-late"),
        pytest.param([-1, 2], "<i4", FormatError, id="P13-negative"),
        pytest.param([5, -(2**31)], "<i4", FormatError, id="P13-negative-by-wrapping"),
        pytest.param([5, -(2**63)], "<i8", FormatError, id="P13-negative-by-wrapping-64"),
        pytest.param([3, SIZE], "<i4", ShapeMismatch, id="P13-out-of-range"),
        pytest.param([3, LAST_32], "<i4", ShapeMismatch, id="P13-far-out-of-range"),
        pytest.param([3, LAST_64], "<i8", ShapeMismatch, id="P13-farthest"),
        pytest.param([1, 2], "<f4", FormatError, id="float"),
        pytest.param([1, 2], "<i2", FormatError, id="short"),
    ],
)
def test_indices_that_are_none_are_refused(
    chunk: int, indices: list[int], kind: str, error: type[InputError]
) -> None:
    found = Entries(np.array(indices, kind), np.ones(len(indices), np.float32))
    with pytest.raises(error, match=r"ind(ices|ex)"):
        found.check(SIZE)


@pytest.mark.parametrize(
    ("indices", "values", "error"),
    [
        pytest.param(np.zeros((1, 1), "<i4"), np.ones((1, 1), "<f4"), ShapeMismatch, id="matrix"),
        pytest.param(np.array([1, 2], "<i4"), np.ones(3, "<f4"), ShapeMismatch, id="too-many"),
        pytest.param(np.array([1, 2], "<i4"), np.ones(1, "<f4"), ShapeMismatch, id="broadcast"),
        pytest.param(np.array([1], "<i4"), np.ones((1, 1), "<f4"), ShapeMismatch, id="deep"),
        pytest.param(np.array([1], "<i4"), np.ones(1, "<f8"), FormatError, id="double"),
        pytest.param(np.array([1], "<i4"), np.ones(1, "<i4"), FormatError, id="whole-numbers"),
        pytest.param(np.array([1], "<i4"), np.array([np.nan], "<f4"), NonFinite, id="P01"),
        pytest.param(np.array([1], "<i4"), np.array([np.inf], "<f2"), NonFinite, id="P02"),
        pytest.param(np.array([1], "<i4"), np.array([0x7FC0], "<u2"), NonFinite, id="P01-BF16"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    indices: NDArray[Any], values: NDArray[Any], error: type[InputError]
) -> None:
    with pytest.raises(error):
        Entries(indices, values).check(SIZE)
