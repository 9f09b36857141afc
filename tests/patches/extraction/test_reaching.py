"""Numbers to add so that rounded sums are given bits."""

import numpy as np
from weightpatch.patches.arithmetic import dtypes
from weightpatch.patches.extraction.reaching import addends, narrowest, reached_by, splits
from weightpatch.patches.operations.values import wide

ONES = dtypes.narrow(np.ones(3), "BF16")


def test_two_bytes_a_number_are_enough_between_bfloat16_neighbours() -> None:
    edited = dtypes.narrow(np.array([1.0078125, 1.5, 0.99609375]), "BF16")
    values = addends(ONES, edited, "BF16")
    assert values is not None
    assert wide(values).tolist() == [0.0078125, 0.5, -0.00390625]


def test_a_negative_zero_is_no_sum() -> None:
    edited = dtypes.narrow(np.array([1.0, 1.0, -0.0]), "F32")
    assert addends(np.ones(3, "<f4"), edited, "F32") is None


def test_a_sum_that_must_cancel_takes_more_than_one_number() -> None:
    delta = np.array([1 / 3, 0.25, 0.5])
    edited = dtypes.narrow(np.array([0.0, 1.25, 1.25]), "BF16")
    parts = splits(ONES, edited, "BF16", delta)
    assert parts is not None
    total = delta.copy()
    for places, values in parts:
        total[places] += wide(values)
    assert reached_by(ONES, edited, "BF16", total).all()
    assert len([places for places, _ in parts if 0 in places]) > 1


def test_values_take_two_bytes_where_that_loses_nothing() -> None:
    assert narrowest(np.array([1.0, -0.0, 2.0**-100], "<f4"), "F32").dtype == np.uint16
    assert narrowest(np.array([1.0, 1 + 2.0**-10], "<f4"), "F32").dtype == np.float16
    assert narrowest(np.array([1.0, 1 + 2.0**-20], "<f4"), "F32").dtype == np.float32
