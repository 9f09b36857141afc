"""Low-rank deltas: the same rows whatever the blocking, and every refusal."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from weightpatch.patches.arithmetic.grid import MAX_RANK
from weightpatch.patches.errors import FormatError, InputError, NonFinite, OffGrid, ShapeMismatch
from weightpatch.patches.operations.lowrank import LowRank


def random(out: int, rank: int, columns: int, seed: int = 0) -> LowRank:
    generator = np.random.default_rng(seed)
    scales = np.exp2(generator.integers(-60, 60, (out, 1)))
    return LowRank.snapped(
        generator.normal(size=(out, rank)) * scales, generator.normal(size=(rank, columns))
    )


def test_it_is_read_back_from_its_parts() -> None:
    term = random(6, 3, 5)
    read = LowRank.read(term.parts, (6, 5))
    assert (read.kind, read.shape, read.size) == ("lowrank", (6, 5), 3)
    assert set(read.parts) == {"A", "B"}
    assert np.array_equal(read.rows(0, 6), term.rows(0, 6))


@given(st.integers(1, 8), st.lists(st.integers(1, 39), unique=True, max_size=6), st.integers(0, 99))
def test_rows_do_not_depend_on_the_blocks(rank: int, cuts: list[int], seed: int) -> None:
    term = random(40, rank, 33, seed)
    edges = [0, *sorted(cuts), 40]
    blocks = [term.rows(start, stop) for start, stop in pairwise(edges)]
    whole = term.rows(0, 40)
    assert whole.dtype == np.float64
    assert np.array_equal(np.vstack(blocks), whole)


@given(st.permutations(range(8)), st.integers(0, 99))
def test_rows_do_not_depend_on_the_order_of_the_rank(order: list[int], seed: int) -> None:
    term = random(9, 8, 7, seed)
    turned = LowRank(term.a[:, order], term.b[order])
    assert np.array_equal(turned.rows(0, 9), term.rows(0, 9))


def test_rows_do_not_depend_on_the_layout_in_memory() -> None:
    term = random(64, 16, 48)
    other = LowRank(np.asfortranarray(term.a), np.asfortranarray(term.b))
    assert np.array_equal(other.rows(3, 50), term.rows(3, 50))


@pytest.mark.parametrize("rank", [1, 4, 32])
def test_the_norm_is_that_of_the_unfolded_delta(rank: int) -> None:
    generator = np.random.default_rng(rank)
    term = LowRank.snapped(generator.normal(size=(50, rank)), generator.normal(size=(rank, 40)))
    assert term.norm() == pytest.approx(np.linalg.norm(term.rows(0, 50)), rel=1e-12)


def test_the_norm_of_factors_that_cancel_is_zero() -> None:
    term = LowRank(np.array([[1, 1]], np.float32), np.array([[3], [-3]], np.float32))
    assert term.norm() == 0


A = np.ones((4, 2), np.float32)
B = np.ones((2, 3), np.float32)
NAN = np.array([[1, np.nan, 1], [1, 1, 1]], np.float32)
OFF = np.float32(1 + 2**-22)  # half a step: between 1 and 2 they are 2^-21 apart


def factors(a: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    return {"A": a, "B": b}


@pytest.mark.parametrize(
    ("parts", "error", "reason"),
    [
        pytest.param({"A": A}, FormatError, "needs A and B", id="P10"),
        pytest.param({**factors(A, B), "C": B}, FormatError, "needs A and B", id="one-too-many"),
        pytest.param(factors(A.astype("<f2"), B), FormatError, "F32", id="half-A"),
        pytest.param(factors(A, B.astype("<f8")), FormatError, "F32", id="double-B"),
        pytest.param(factors(A[:, :1], B), ShapeMismatch, "cannot be multiplied", id="P05"),
        pytest.param(factors(A[0], B), ShapeMismatch, "cannot be multiplied", id="vector"),
        pytest.param(factors(A[:3], B), ShapeMismatch, "do not make", id="P08-rows"),
        pytest.param(factors(A, B[:, :2]), ShapeMismatch, "do not make", id="P08-columns"),
        pytest.param(factors(A[:, :0], B[:0]), ShapeMismatch, "rank 0", id="no-rank"),
        pytest.param(
            factors(np.ones((4, MAX_RANK + 1), np.float32), np.ones((MAX_RANK + 1, 3), np.float32)),
            ShapeMismatch,
            "rank 513",
            id="rank-over-limit",
        ),
        pytest.param(factors(A, NAN), NonFinite, "factor B", id="P01"),
        pytest.param(factors(A * np.float32(np.inf), B), NonFinite, "factor A", id="P02"),
        pytest.param(factors(A, B * OFF), OffGrid, "factor B", id="off-grid-B"),
        pytest.param(factors(A * OFF, B), OffGrid, "factor A", id="off-grid-A"),
    ],
)
def test_what_does_not_fit_is_refused(
    parts: dict[str, NDArray[np.float32]], error: type[InputError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        LowRank.read(parts, (4, 3))


def test_the_highest_rank_is_read() -> None:
    parts = factors(np.ones((4, MAX_RANK), np.float32), np.ones((MAX_RANK, 3), np.float32))
    assert LowRank.read(parts, (4, 3)).size == MAX_RANK


@pytest.mark.parametrize("shape", [(4,), (4, 3, 1), (), (3, 4)])
def test_only_a_matrix_of_its_shape_can_take_it(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch):
        LowRank.read(factors(A, B), shape)


def test_factors_that_are_not_finite_are_not_snapped() -> None:
    with pytest.raises(NonFinite):
        LowRank.snapped(A, NAN)
