"""The filter gives what the exact sum gives, also where nearly all of it is left undecided."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from weightpatch.patches.arithmetic import filtering
from weightpatch.patches.arithmetic.dtypes import storage, widen
from weightpatch.patches.arithmetic.filtering import FilteredSum, pays
from weightpatch.patches.arithmetic.grid import snap
from weightpatch.patches.errors import NonFinite
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.summation import patched, patched_rows

DTYPES = ["F32", "F16", "BF16"]


def weights(dtype: str, shape: tuple[int, int], random: np.random.Generator) -> NDArray:
    """Random bits of all magnitudes, zeros and subnormal numbers among them, none infinite."""
    kind = storage(dtype)
    raw = random.integers(0, 1 << (8 * kind.itemsize), shape, dtype=f"u{kind.itemsize}").view(kind)
    raw[~np.isfinite(widen(raw, dtype))] = 0
    raw[random.random(shape) < 0.1] = 0
    return raw


def terms(
    ranks: list[int], shape: tuple[int, int], random: np.random.Generator, spread: int
) -> list[LowRank]:
    """Random factors whose rows and columns differ by up to 2^±spread."""

    def factor(rows: int, columns: int) -> NDArray[np.float64]:
        scale = np.exp2(random.integers(-spread, spread + 1, (rows, columns)).astype(float))
        return random.standard_normal((rows, columns)) * scale

    return [LowRank.snapped(factor(shape[0], rank), factor(rank, shape[1])) for rank in ranks]


def chained(bits: NDArray, dtype: str, operations: list[LowRank]) -> bytes | None:
    """The sum as the contract words it, or None if it does not fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weightpatch.patches.summation.pays", lambda *_: False)
        return outcome(bits, dtype, operations)


def filtered(bits: NDArray, dtype: str, operations: list[LowRank]) -> bytes | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weightpatch.patches.summation.pays", lambda *_: True)
        return outcome(bits, dtype, operations)


def outcome(bits: NDArray, dtype: str, operations: list[LowRank]) -> bytes | None:
    try:
        return patched_rows(bits, dtype, operations, 0).tobytes()
    except NonFinite:
        return None


@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    ranks=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    spread=st.sampled_from([0, 3, 20, 60]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=300, deadline=None)
def test_it_agrees_with_the_sum_term_by_term(dtype, shape, ranks, spread, seed):
    random = np.random.default_rng(seed)
    bits = weights(dtype, shape, random)
    operations = terms(ranks, shape, random, spread)
    assert filtered(bits, dtype, operations) == chained(bits, dtype, operations)


@given(
    dtype=st.sampled_from(DTYPES),
    ranks=st.lists(st.integers(1, 3), min_size=2, max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_it_agrees_where_weight_and_delta_cancel(dtype, ranks, seed):
    random = np.random.default_rng(seed)
    shape = (6, 7)
    operations = terms(ranks, shape, random, 2)
    away = -sum(operation.rows(0, 6) for operation in operations)
    with np.errstate(over="ignore"):
        near = away.astype(np.float32)
    bits = near if dtype == "F32" else (near.view(np.uint32) >> 16).astype(np.uint16)
    if dtype == "F16":
        bits = away.astype(np.float16)
        bits[~np.isfinite(bits)] = 0
    assert filtered(bits, dtype, operations) == chained(bits, dtype, operations)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ties_go_to_the_even_neighbour(dtype):
    # 1 plus half a unit in the last place of the type, made of two terms.
    bits = {"F32": 24, "F16": 11, "BF16": 8}[dtype]
    ones = np.array([[1.0], [1.0 + 2.0 ** (1 - bits)]], dtype=np.float32)
    stored = ones.astype(storage(dtype)) if dtype != "BF16" else np.array([[0x3F80], [0x3F81]])
    stored = stored.astype(storage(dtype))
    quarter = np.float64(2.0 ** (-bits - 1))
    half = [LowRank.snapped(np.ones((2, 1)), np.full((1, 1), quarter)) for _ in range(2)]
    found = filtered(stored, dtype, half)
    assert found == chained(stored, dtype, half)
    values = widen(np.frombuffer(found, dtype=storage(dtype)), dtype)
    assert values.tolist() == [1.0, 1.0 + 2.0 ** (2 - bits)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_zero_has_no_sign_of_the_library(dtype):
    negative = -np.zeros((2, 2), dtype=np.float32)
    bits = negative if dtype == "F32" else np.full((2, 2), 0x8000, np.uint16).view(storage(dtype))
    nothing = [LowRank(np.zeros((2, 1), np.float32), -np.ones((1, 2), np.float32))] * 7
    assert filtered(bits, dtype, nothing) == bytes(bits.nbytes)


def test_a_product_that_overflows_on_the_way_is_summed_exactly(monkeypatch):
    # Their sum is 1, but of 2^127 + 2^127 no float32 is left: only float64 holds it.
    large = np.float32(2.0**63)
    signs = [1, 1, -1, -1]
    operations = [
        LowRank(np.full((1, 1), large), np.full((1, 1), np.float32(sign) * large)) for sign in signs
    ]
    bits = np.ones((1, 1), np.float32)
    assert filtered(bits, "F32", operations) == chained(bits, "F32", operations) == bits.tobytes()


def test_most_entries_are_decided_without_the_exact_sum(monkeypatch):
    random = np.random.default_rng(0)
    decided_exactly = 0
    exact = FilteredSum._decide

    def counting(self, places, result, bits, first):
        nonlocal decided_exactly
        decided_exactly += len(places)
        exact(self, places, result, bits, first)

    monkeypatch.setattr(FilteredSum, "_decide", counting)
    bits = (random.standard_normal((200, 300)) * 0.02).astype(np.float32)
    operations = [
        LowRank.snapped(random.standard_normal((200, 1)), random.standard_normal((1, 300)) * 1e-3)
        for _ in range(20)
    ]
    filtered(bits, "F32", operations)
    assert decided_exactly < bits.size / 1000


def test_many_small_terms_are_worth_it_and_few_large_ones_are_not():
    assert pays([1] * 32, 1536)
    assert not pays([1] * 3, 1536)
    assert not pays([256], 1536)


def test_factors_too_large_to_hold_together_are_not_filtered():
    columns = filtering.MAX_FACTOR_BYTES // 8 // 100
    assert pays([1] * 100, columns)
    assert not pays([1] * 100, columns + 1)


def test_the_whole_way_uses_it(monkeypatch):
    random = np.random.default_rng(1)
    bits = random.standard_normal((40, 50)).astype(np.float32)
    operations = [
        LowRank(
            snap(random.standard_normal((40, 1)), axis=1),
            snap(random.standard_normal((1, 50)), axis=0),
        )
        for _ in range(30)
    ]
    assert patched(bits, "F32", operations).tobytes() == chained(bits, "F32", operations)
