"""The grid: factors on it multiply to the same bits in any order of summation."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from weightpatch.patches.arithmetic.grid import BITS, MAX_RANK, require_on_grid, snap
from weightpatch.patches.errors import NonFinite, OffGrid

SMALLEST = 2.0**-149
factors = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-(2.0**126), 2.0**126, width=32) | st.floats(-1, 1, width=32),
)


@given(factors, st.sampled_from([0, 1]))
def test_snapping_moves_an_entry_by_little_and_only_once(
    factor: NDArray[np.float32], axis: int
) -> None:
    snapped = snap(factor, axis=axis)
    error = np.abs(factor.astype(np.float64) - snapped)
    largest = np.abs(snapped.astype(np.float64)).max(axis=axis, keepdims=True)
    assert (error <= largest * 2.0**-BITS).all()
    require_on_grid(snapped, axis=axis, what="factor")
    assert np.array_equal(snap(snapped, axis=axis), snapped)


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e-36, 1e-36)))
def test_entries_of_float64_below_the_reach_of_float32_are_rounded_as_float32_rounds(
    factor: NDArray[np.float64],
) -> None:
    snapped = snap(factor, axis=1)
    largest = np.abs(snapped.astype(np.float64)).max(axis=1, keepdims=True)
    error = np.abs(factor - snapped)
    assert (error <= np.maximum(largest * 2.0**-BITS, SMALLEST / 2)).all()
    require_on_grid(snapped, axis=1, what="factor")


def test_what_float32_cannot_tell_from_zero_is_rounded_once() -> None:
    just_over_half = SMALLEST / 2 * (1 + 2**-30)
    assert snap(np.array([[just_over_half, SMALLEST / 2]]), axis=1).tolist() == [[SMALLEST, 0]]


def test_a_largest_entry_just_below_a_power_of_two_takes_the_coarser_grid() -> None:
    below = np.float32(1 - 2**-24)
    small = np.float32(3 * 2**-22)
    [[top, entry]] = snap(np.array([[below, small]]), axis=1)
    assert top == 1
    assert entry == 2**-20
    require_on_grid(np.array([[top, entry]]), axis=1, what="factor")
    with pytest.raises(OffGrid):
        require_on_grid(np.array([[1, small]], np.float32), axis=1, what="factor")


def test_each_vector_has_a_grid_of_its_own() -> None:
    tiny = np.float32(2**-60)
    rows = np.array([[1, 0.5], [tiny, tiny / 2]], np.float32)
    assert np.array_equal(snap(rows, axis=1), rows)
    with pytest.raises(OffGrid, match="factor B is not on the 22-bit grid"):
        require_on_grid(rows, axis=0, what="factor B")
    assert snap(rows, axis=0)[1].tolist() == [0, 0]


def test_numbers_that_were_never_snapped_are_refused() -> None:
    normal = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    for axis in (0, 1):
        with pytest.raises(OffGrid):
            require_on_grid(normal, axis=axis, what="factor A")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    factor = np.array([[1, bad]], np.float32)
    with pytest.raises(NonFinite):
        snap(factor, axis=1)
    with pytest.raises(NonFinite, match="factor A"):
        require_on_grid(factor, axis=1, what="factor A")


@pytest.mark.parametrize("large", [np.finfo(np.float32).max, 1e39, 1e308])
def test_a_factor_that_rounds_out_of_float32_is_refused(large: float) -> None:
    with pytest.raises(NonFinite, match="does not fit float32"):
        snap(np.array([[large, 1]]), axis=1)


def test_zeros_and_no_columns_are_on_the_grid() -> None:
    for factor in (np.zeros((2, 3), np.float32), np.zeros((2, 0), np.float32)):
        require_on_grid(snap(factor, axis=1), axis=1, what="factor")


def on_grid(
    generator: np.random.Generator, vectors: int, rank: int, exponents: tuple[int, int]
) -> NDArray[np.float32]:
    """Rows of random 22-bit integers, each times a power of two of its own."""
    top = 2**BITS - 1
    steps = generator.integers(-top, top, (vectors, rank), endpoint=True)
    steps[:, 0] = top
    steps[0] = top
    exponent = generator.integers(*exponents, (vectors, 1), endpoint=True)
    return np.ldexp(steps.astype(np.float64), exponent).astype(np.float32)


def exact(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """A·B in rational numbers; a product that float64 cannot hold fails the comparison."""
    rows = [[Fraction(float(entry)) for entry in row] for row in a]
    columns = [[Fraction(float(entry)) for entry in column] for column in b.T]
    products = [
        [sum((x * y for x, y in zip(row, column, strict=True)), Fraction()) for column in columns]
        for row in rows
    ]
    assert all(Fraction(float(entry)) == entry for row in products for entry in row)
    return np.array([[float(entry) for entry in row] for row in products])


@pytest.mark.parametrize(
    "exponents",
    [
        pytest.param((-149, 105), id="all"),
        pytest.param((-149, -140), id="subnormal"),
        pytest.param((100, 105), id="huge"),
    ],
)
@pytest.mark.parametrize("rank", [1, 3, 64, MAX_RANK])
def test_a_product_is_exact_in_any_order_and_blocking(
    rank: int, exponents: tuple[int, int]
) -> None:
    generator = np.random.default_rng(rank)
    a = on_grid(generator, 7, rank, exponents)
    b = on_grid(generator, 5, rank, exponents).T
    require_on_grid(a, axis=1, what="A")
    require_on_grid(b, axis=0, what="B")
    expected = exact(a, b)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    for _ in range(5):
        order = generator.permutation(rank)
        one_by_one = np.zeros_like(expected)
        for k in order:
            one_by_one += wide_a[:, [k]] * wide_b[[k]]
        assert np.array_equal(one_by_one, expected)
        assert np.array_equal(wide_a[:, order] @ wide_b[order], expected)
        cut = int(generator.integers(0, rank, endpoint=True))
        halves = wide_a[:, :cut] @ wide_b[:cut] + wide_a[:, cut:] @ wide_b[cut:]
        assert np.array_equal(halves, expected)
    assert np.array_equal(np.vstack([wide_a[[i]] @ wide_b for i in range(7)]), expected)


def test_one_rank_more_could_pass_the_reach_of_float64() -> None:
    top = 2**BITS - 1
    assert MAX_RANK * top**2 <= 2**53
    assert (MAX_RANK + 1) * top**2 > 2**53
