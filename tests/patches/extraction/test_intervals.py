"""The interval of deltas that round to a stored element."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operation_strategies import Bits, weights
from weightpatch.patches.arithmetic import dtypes
from weightpatch.patches.extraction.intervals import Boxes, rounding_interval


@given(weights((7,)), st.floats(0.001, 0.999))
def test_what_lies_between_the_midpoints_rounds_to_the_element(
    tensor: tuple[Bits, str], place: float
) -> None:
    bits, dtype = tensor
    low, high = rounding_interval(bits, dtype)
    inside = low + place * (high - low)
    rounded = dtypes.narrow(inside, dtype)
    assert np.array_equal(dtypes.widen(rounded, dtype), dtypes.widen(bits, dtype))


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_what_lies_beyond_a_midpoint_rounds_to_a_neighbour(dtype: str) -> None:
    bits = dtypes.narrow(np.array([1.0, -1.0, 1.5, -3.25, 0.0, 2.0**-20]), dtype)
    low, high = rounding_interval(bits, dtype)
    for end, step in ((low, -1), (high, 1)):
        beyond = end + step * 0.01 * (high - low)
        assert not (dtypes.narrow(beyond, dtype) == bits).any()


def test_an_unchanged_weight_allows_deltas_of_less_than_half_a_unit_in_the_last_place() -> None:
    bits = dtypes.narrow(np.full((1, 1), 1.5), "BF16")
    boxes = Boxes.between(bits, bits, "BF16")
    assert boxes.centre[0, 0] == 0
    assert boxes.radius[0, 0] == 2.0**-8
