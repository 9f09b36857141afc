"""Strips added and rounded in arrays that are used again give what NumPy gives for the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weightpatch.patches.arithmetic import dtypes
from weightpatch.patches.arithmetic.rounding import RoundedSum


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_strips_of_any_size_give_the_same_bits(dtype):
    random = np.random.default_rng(0)
    bits = random.integers(0, 0x7000, (10, 6), dtype=np.uint16).view(dtypes.storage("BF16"))
    bits = (
        bits if dtype == "BF16" else random.standard_normal((10, 6)).astype(dtypes.storage(dtype))
    )
    delta = random.standard_normal((10, 6))
    whole = dtypes.narrow(delta + dtypes.widen(bits, dtype), dtype)
    rounding = RoundedSum(dtype, (4, 6))
    result = np.empty_like(bits)
    for first in range(0, 10, 4):
        strip = slice(first, first + 4)
        rounding.into(result[strip], bits[strip], delta[strip].copy())
    assert result.tobytes() == whole.tobytes()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_two_zeros_make_one_without_a_sign(sign):
    bits = np.array([[-0.0, 0.0]], dtype=np.float32)
    result = np.empty_like(bits)
    RoundedSum("F32", (1, 2)).into(result, bits, np.full((1, 2), sign * 0.0))
    assert not np.signbit(result).any()


def test_a_small_negative_sum_keeps_its_sign():
    bits = np.zeros((1, 1), dtype=np.float32)
    result = np.empty_like(bits)
    RoundedSum("F32", (1, 1)).into(result, bits, np.full((1, 1), -1e-300))
    assert np.signbit(result).all()


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_one_float32_delta_needs_no_float64(data: st.DataObject):
    dtype = data.draw(st.sampled_from(["F32", "F16", "BF16"]))
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    values = np.array([data.draw(st.lists(numbers, min_size=8, max_size=8))], dtype=np.float32)
    delta = np.array([data.draw(st.lists(numbers, min_size=8, max_size=8))], dtype=np.float32)
    with np.errstate(over="ignore"):
        bits = (
            (values.view(np.uint32) >> 16).astype(np.uint16)
            if dtype == "BF16"
            else values.astype(dtypes.storage(dtype))
        )
        bits[~np.isfinite(dtypes.widen(bits, dtype))] = 0
        quick, exact = np.empty_like(bits), np.empty_like(bits)
        RoundedSum(dtype, (1, 8), single=True).into(quick, bits, delta.copy())
        RoundedSum(dtype, (1, 8)).into(exact, bits, delta.astype(np.float64))
    assert quick.tobytes() == exact.tobytes()
