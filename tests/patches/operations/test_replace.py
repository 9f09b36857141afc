"""New values, for a whole tensor or some entries: put in as they are, and every refusal."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pico_fixtures import stored
from weightpatch.patches.errors import FormatError, InputError, NonFinite, ShapeMismatch
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.summation import patched

VALUES = np.arange(12, dtype="<f4").reshape(4, 3) / 4
LISTED = {"indices": np.array([0, 5, 11], "<i4"), "values": np.array([7, -0.0, 9], "<f4")}


def test_a_whole_tensor_is_read_back_from_its_parts() -> None:
    term = Replace.read({"values": VALUES}, (4, 3))
    assert (term.kind, term.shape, term.size, term.entries) == ("replace", (4, 3), 12, None)
    assert dict(Replace.read(term.parts, term.shape).parts) == {"values": VALUES}


def test_listed_entries_are_read_back_from_their_parts() -> None:
    term = Replace.read(LISTED, (4, 3))
    assert (term.kind, term.shape, term.size) == ("replace", (4, 3), 3)
    assert dict(Replace.read(term.parts, term.shape).parts) == LISTED


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("kept", ["F32", "F16", "BF16"])
def test_values_are_rounded_to_the_type_of_the_tensor(dtype: str, kept: str) -> None:
    base = np.zeros((4, 3), stored(VALUES, dtype).dtype)
    found = patched(base, dtype, [Replace.read({"values": stored(VALUES, kept)}, (4, 3))])
    assert found.tobytes() == stored(VALUES, dtype).tobytes()


def test_a_value_between_two_numbers_goes_to_the_even_one() -> None:
    values = np.array([[1 + 2**-8, 1 + 3 * 2**-8]], "<f4")
    found = patched(np.zeros((1, 2), "<u2"), "BF16", [Replace.read({"values": values}, (1, 2))])
    assert found.tolist() == [[0x3F80, 0x3F82]]


@pytest.mark.parametrize("kind", ["<i4", "<i8"])
def test_only_listed_entries_are_replaced_and_to_the_bit(kind: str) -> None:
    parts = {"indices": LISTED["indices"].astype(kind), "values": LISTED["values"]}
    found = patched(VALUES, "F32", [Replace.read(parts, (4, 3))])
    expected = VALUES.copy()
    expected.ravel()[[0, 5, 11]] = [7, -0.0, 9]
    assert found.tobytes() == expected.tobytes()


def test_the_norm_is_that_of_the_new_values() -> None:
    assert Replace.read({"values": VALUES}, (4, 3)).norm() == pytest.approx(np.linalg.norm(VALUES))
    assert Replace.read(LISTED, (4, 3)).norm() == pytest.approx(np.sqrt(130))


def test_a_vector_can_be_replaced() -> None:
    term = Replace.read({"values": VALUES[0]}, (3,))
    assert np.array_equal(patched(np.ones(3, "<f4"), "F32", [term]), VALUES[0])


@pytest.mark.parametrize(
    ("parts", "error", "reason"),
    [
        pytest.param({}, FormatError, "needs", id="nothing"),
        pytest.param({"indices": LISTED["indices"]}, FormatError, "needs", id="no-values"),
        pytest.param({"values": VALUES, "x": VALUES}, FormatError, "needs", id="one-too-many"),
        pytest.param({"values": VALUES.astype("<f8")}, FormatError, "F32", id="double"),
        pytest.param({"values": VALUES.T.copy()}, ShapeMismatch, "do not fit", id="P08"),
        pytest.param({"values": VALUES[:1]}, ShapeMismatch, "do not fit", id="broadcast"),
        pytest.param({"values": VALUES * np.float32(np.nan)}, NonFinite, "NaN", id="P01"),
        pytest.param({"values": np.full_like(VALUES, np.inf)}, NonFinite, "NaN", id="P02"),
        pytest.param(
            {**LISTED, "indices": np.array([0, 5, 12], "<i4")},
            ShapeMismatch,
            "outside",
            id="P13",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    parts: dict[str, NDArray[Any]], error: type[InputError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        Replace.read(parts, (4, 3))
