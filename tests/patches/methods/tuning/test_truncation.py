import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.methods.tuning.truncation import truncated


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 8), st.integers(1, 9))
def test_it_is_numpy_s_best_approximation(seed, rows, columns, rank):
    delta = np.random.default_rng(seed).standard_normal((rows, columns), np.float32)
    u, s, vt = np.linalg.svd(delta.astype(np.float64), full_matrices=False)
    a, b, error = truncated(delta, rank)
    assert a.shape[1] == len(b) == min(rank, rows, columns)
    np.testing.assert_allclose(a @ b, (u[:, :rank] * s[:rank]) @ vt[:rank], atol=1e-7)
    expected = np.sqrt((s[rank:] ** 2).sum() / (s**2).sum())
    assert error == pytest.approx(expected, abs=1e-7)


def test_no_more_factors_are_kept_than_there_are():
    delta = np.outer([1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0])
    a, b, error = truncated(delta, 3)
    assert (a.shape, b.shape) == ((3, 1), (1, 4))
    np.testing.assert_allclose(a @ b, delta)
    assert error < 1e-12


def test_nothing_has_factors_that_are_zero():
    a, b, error = truncated(np.zeros((3, 4), np.float32), 2)
    assert (a.shape, b.shape, error) == ((3, 1), (1, 4), 0.0)
    assert not (a @ b).any()
