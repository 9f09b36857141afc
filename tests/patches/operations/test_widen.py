"""Neurons appended: rows or columns as they are stored, and every refusal."""

import numpy as np
import pytest
from numpy.typing import NDArray
from weightpatch.patches.errors import FormatError, InputError, NonFinite, ShapeMismatch
from weightpatch.patches.operations.widen import Widen
from weightpatch.patches.summation import patched, patched_tensor, widened_shape

ROWS = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
BASE = np.arange(12, dtype=np.float32).reshape(4, 3) / 8


@pytest.mark.parametrize(
    ("part", "values", "shape", "axis"),
    [
        ("rows", ROWS, (4, 3), 0),
        ("columns", ROWS.T, (3, 4), 1),
        ("rows", ROWS[:, 0], (4,), 0),
    ],
)
def test_it_is_read_back_from_its_parts(part, values, shape, axis: int) -> None:
    term = Widen.read({part: values}, shape)
    assert (term.kind, term.shape, term.axis, term.size) == ("widen", shape, axis, 2)
    again = Widen.read(term.parts, term.shape)
    assert (again.axis, again.values) == (axis, values)


def test_the_norm_is_that_of_what_is_added() -> None:
    assert Widen.read({"rows": ROWS}, (4, 3)).norm() == pytest.approx(np.sqrt(91))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("F32", ROWS), ("F16", ROWS.astype("<f2")), ("BF16", (ROWS.view("<u4") >> 16).astype("<u2"))],
)
def test_slices_take_the_type_of_the_tensor(dtype: str, expected: NDArray[np.generic]) -> None:
    found = Widen.read({"rows": ROWS}, (4, 3)).slices(dtype)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_bits_of_the_same_type_are_kept_negative_zeros_too() -> None:
    bits = np.array([[0x8000, 0x3F80, 0x0001]], "<u2")
    assert np.array_equal(Widen.read({"rows": bits}, (4, 3)).slices("BF16"), bits)


def test_what_does_not_fit_the_type_is_refused() -> None:
    term = Widen.read({"rows": ROWS * 1e30}, (4, 3))
    with pytest.raises(NonFinite):
        term.slices("F16")


@pytest.mark.parametrize("base", [BASE, BASE.T])
def test_the_base_comes_first_then_each_operation_in_turn(base: NDArray[np.float32]) -> None:
    base = np.ascontiguousarray(base)
    axis, part = (0, "rows") if base.shape == (4, 3) else (1, "columns")
    slices = [ROWS if axis == 0 else ROWS.T, np.full_like(base.take([0], axis), 7)]
    terms = [Widen.read({part: each}, base.shape) for each in slices]
    expected = np.concatenate([base, *slices], axis)
    assert widened_shape(base.shape, terms) == expected.shape
    assert np.array_equal(patched(base, "F32", terms), expected)


def test_a_bias_is_widened_too() -> None:
    bias = BASE[0]
    term = Widen.read({"rows": np.float32([8, 9])}, bias.shape)
    assert np.array_equal(patched(bias, "F32", [term]), [*bias, 8, 9])


@pytest.mark.parametrize("length", [6, 9])
def test_zeros_follow_up_to_the_length_asked_for(length: int) -> None:
    own = patched_tensor(BASE, "F32", [Widen.read({"rows": ROWS}, (4, 3))])
    tensor = type(own)(own.part, own.dtype, own.operations, (length, 3))
    found = np.concatenate([tensor.block(start) for start in tensor.starts()])
    assert np.array_equal(found, np.concatenate([BASE, ROWS, np.zeros((length - 6, 3))]))


def test_a_tensor_cannot_grow_along_two_axes() -> None:
    square = np.eye(3, dtype=np.float32)
    terms = [Widen.read({part: square}, (3, 3)) for part in ("rows", "columns")]
    with pytest.raises(ShapeMismatch, match="two axes"):
        widened_shape((3, 3), terms)


@pytest.mark.parametrize(
    ("parts", "error", "reason"),
    [
        pytest.param({}, FormatError, "rows or columns", id="nothing"),
        pytest.param({"values": ROWS}, FormatError, "rows or columns", id="other-part"),
        pytest.param({"rows": ROWS, "columns": ROWS}, FormatError, "rows or columns", id="both"),
        pytest.param({"rows": ROWS.astype("<f8")}, FormatError, "F32", id="double"),
        pytest.param({"rows": ROWS.astype("<i4")}, FormatError, "F32", id="whole-numbers"),
        pytest.param({"rows": ROWS.T}, ShapeMismatch, "do not fit", id="turned"),
        pytest.param({"columns": ROWS}, ShapeMismatch, "do not fit", id="wrong-axis"),
        pytest.param({"rows": ROWS[0]}, ShapeMismatch, "cannot be appended", id="flat"),
        pytest.param({"rows": ROWS[None]}, ShapeMismatch, "cannot be appended", id="deep"),
        pytest.param({"rows": ROWS * np.float32(np.nan)}, NonFinite, "NaN", id="nan"),
        pytest.param({"rows": np.full_like(ROWS, np.inf)}, NonFinite, "NaN", id="infinity"),
    ],
)
def test_what_does_not_fit_is_refused(
    parts: dict[str, NDArray[np.float32]], error: type[InputError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        Widen.read(parts, (4, 3))


def test_a_bias_has_no_columns() -> None:
    with pytest.raises(ShapeMismatch, match="cannot be appended"):
        Widen.read({"columns": ROWS[0]}, (4,))
