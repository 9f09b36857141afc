"""From two tensors to the operations of fewest bytes between them, always exact."""

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operation_strategies import Bits, finite, sums
from operation_strategies import dtypes as types
from weightpatch.patches.arithmetic import dtypes
from weightpatch.patches.errors import NonFinite, ShapeMismatch, Unsupported
from weightpatch.patches.extraction.choose import operations_between
from weightpatch.patches.extraction.plain import OVERHEAD, stored_bytes
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.summation import patched
from weightpatch.patches.terms import require_compatible

RANDOM = np.random.default_rng(7)
WEIGHTS = RANDOM.standard_normal((96, 160)) / 16


def rounded(values: Bits, dtype: str) -> Bits:
    return dtypes.narrow(values, dtype)


def between(base: Bits, edited: Bits, dtype: str) -> list[Operation]:
    """Operations that were checked here as well, bit for bit, and as a reader checks them."""
    found = operations_between(base, edited, dtype)
    for operation in found:
        type(operation).read(operation.parts, base.shape)
    require_compatible("w", found)
    assert patched(base, dtype, found).tobytes() == edited.tobytes()
    return found


def kinds(operations: list[Operation]) -> set[str]:
    return {operation.kind for operation in operations}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Bits, Bits, str]:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    dtype = draw(types)
    return draw(finite(shape, dtype)), draw(finite(shape, dtype)), dtype


@given(pairs())
def test_any_finite_tensor_is_reached_from_any_other(pair: tuple[Bits, Bits, str]) -> None:
    base, edited, dtype = pair
    found = between(base, edited, dtype)
    assert stored_bytes(found) <= base.nbytes + OVERHEAD


@given(sums())
def test_what_operations_did_is_found_again(case: tuple[Bits, str, list[Operation]]) -> None:
    bits, dtype, operations = case
    try:
        edited = patched(bits, dtype, operations)
    except NonFinite:
        return
    changed = np.count_nonzero(bits.view(np.uint8) != edited.view(np.uint8))
    found = between(bits, edited, dtype)
    assert stored_bytes(found) <= min(
        bits.nbytes + OVERHEAD, changed * (4 + bits.itemsize) + 2 * OVERHEAD
    )


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("rank", [1, 4, 16])
def test_low_rank_is_recovered_from_rounded_weights(dtype: str, rank: int) -> None:
    base = rounded(WEIGHTS, dtype)
    a, b = RANDOM.standard_normal((96, rank)), RANDOM.standard_normal((rank, 160))
    edited = rounded(dtypes.widen(base, dtype) + a @ b / (200 * rank**0.5), dtype)
    found = between(base, edited, dtype)
    factors = 4 * rank * (96 + 160) * (3 if dtype == "F32" else 1)
    most = factors + 0.01 * base.size * 6 + 8 * OVERHEAD
    if most < base.nbytes:
        assert kinds(found) <= {"lowrank", "sparse"}
        assert stored_bytes(found) < most


def test_a_merge_that_rounds_the_delta_first_is_recovered_too() -> None:
    base = rounded(WEIGHTS, "BF16")
    a, b = RANDOM.standard_normal((96, 2)), RANDOM.standard_normal((2, 160))
    delta = rounded(a @ b / 500, "BF16")
    edited = rounded(dtypes.widen(base, "BF16") + dtypes.widen(delta, "BF16"), "BF16")
    found = between(base, edited, "BF16")
    assert "lowrank" in kinds(found)
    assert stored_bytes(found) < base.nbytes / 3


def test_an_edit_without_low_rank_is_not_given_one() -> None:
    base = rounded(WEIGHTS, "BF16")
    edited = rounded(WEIGHTS + RANDOM.standard_normal(WEIGHTS.shape) / 100, "BF16")
    assert not kinds(between(base, edited, "BF16")) & {"lowrank"}


def test_a_few_changed_entries_are_listed() -> None:
    base = rounded(WEIGHTS, "F32")
    edited = base.copy()
    edited[3, 5:9] += np.float32(0.25)
    (found,) = between(base, edited, "F32")
    assert found.entries is not None
    assert found.size == 4


def test_negative_zeros_are_given_as_they_are() -> None:
    base = rounded(np.array([[1.0, 0.0, -0.0, 2.0]]), "F32")
    edited = rounded(np.array([[-0.0, -0.0, 0.0, 2.0]]), "F32")
    assert kinds(between(base, edited, "F32")) == {"replace"}


def test_nothing_is_found_between_equal_tensors() -> None:
    base = rounded(WEIGHTS, "F16")
    assert operations_between(base, base.copy(), "F16") == []


def test_float32_weights_that_are_bfloat16_numbers_take_two_bytes_each() -> None:
    base = WEIGHTS.astype("<f4")
    edited = rounded(RANDOM.standard_normal(base.shape), "BF16")
    found = between(base, dtypes.single(edited, "BF16"), "F32")
    assert stored_bytes(found) == 2 * prod(base.shape) + OVERHEAD


def test_the_same_is_found_again() -> None:
    base = rounded(WEIGHTS, "BF16")
    edited = rounded(WEIGHTS + np.outer(WEIGHTS[:, 0], WEIGHTS[0]), "BF16")
    once, again = (operations_between(base, edited, "BF16") for _ in range(2))
    parts = [
        [part.tobytes() for each in found for part in each.parts.values()]
        for found in (once, again)
    ]
    assert parts[0] == parts[1]


@pytest.mark.parametrize("side", [0, 1])
def test_infinite_weights_are_refused(side: int) -> None:
    pair = [rounded(WEIGHTS, "F32"), rounded(WEIGHTS, "F32")]
    pair[side][0, 0] = np.inf
    with pytest.raises(NonFinite, match="base" if side == 0 else "edited"):
        operations_between(*pair, "F32")


def test_tensors_of_two_shapes_are_refused() -> None:
    with pytest.raises(ShapeMismatch):
        operations_between(rounded(WEIGHTS, "F32"), rounded(WEIGHTS[:2], "F32"), "F32")


def test_a_tensor_without_axes_is_refused() -> None:
    with pytest.raises(Unsupported):
        operations_between(np.array(1.0, "<f4"), np.array(2.0, "<f4"), "F32")


def lowrank_edit(seed: int, shape: tuple[int, int], values: np.ndarray, dtype: str) -> tuple:
    """Weights, and the same with a delta of these singular values, as a merge would round it."""
    random = np.random.default_rng(seed)
    base = rounded(random.standard_normal(shape) / 8, dtype)
    left, right = (
        np.linalg.qr(random.standard_normal((length, len(values))))[0] for length in shape
    )
    return base, rounded(dtypes.widen(base, dtype) + (left * values) @ right.T, dtype)


@pytest.mark.parametrize("seed", range(2))
def test_a_rank_is_found_behind_one_direction_that_rules(seed: int) -> None:
    """As training makes them: the first singular value far above the others, which fade slowly."""
    values = 0.3 * np.array([2.02, 0.28, 0.16, 0.11, 0.08, 0.06, 0.045, 0.036])
    base, edited = lowrank_edit(seed, (96, 128), values, "BF16")
    found = between(base, edited, "BF16")
    assert "lowrank" in kinds(found)
    assert stored_bytes(found) < 0.4 * base.nbytes


@given(
    st.tuples(st.integers(32, 96), st.integers(32, 96)),
    st.integers(1, 3),
    st.sampled_from(["BF16", "F16", "F32"]),
    st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=25)
def test_low_rank_edits_come_back_from_rounded_weights(shape, rank, dtype, seed) -> None:
    base, edited = lowrank_edit(seed, shape, np.linspace(1, 0.5, rank), dtype)
    found = between(base, edited, dtype)
    if dtype != "F32" and rank <= min(shape) // 16:
        assert "lowrank" in kinds(found)
    assert stored_bytes(found) <= base.nbytes + OVERHEAD
