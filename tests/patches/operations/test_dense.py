"""Dense deltas: rows as they are stored, and every refusal."""

import numpy as np
import pytest
from numpy.typing import NDArray
from weightpatch.patches.errors import FormatError, InputError, NonFinite, ShapeMismatch
from weightpatch.patches.operations.dense import Dense

DELTA = np.arange(24, dtype=np.float32).reshape(4, 3, 2)


def test_it_is_read_back_from_its_parts() -> None:
    term = Dense.read({"delta": DELTA}, (4, 3, 2))
    assert (term.kind, term.shape, term.size) == ("dense", (4, 3, 2), 24)
    assert Dense.read(term.parts, term.shape).delta is DELTA


@pytest.mark.parametrize("shape", [(24,), (6, 4), (4, 3, 2), (24, 1), (1, 24)])
def test_rows_flatten_all_axes_but_the_first(shape: tuple[int, ...]) -> None:
    term = Dense.read({"delta": DELTA.reshape(shape)}, shape)
    whole = term.rows(0, shape[0])
    assert whole.dtype == np.float64
    assert whole.shape == (shape[0], 24 // shape[0])
    assert np.array_equal(whole.ravel(), DELTA.ravel())
    assert np.array_equal(np.vstack([term.rows(i, i + 1) for i in range(shape[0])]), whole)


def test_rows_of_a_delta_that_is_not_contiguous() -> None:
    delta = DELTA.reshape(4, 6).T
    assert np.array_equal(Dense(delta).rows(2, 5), delta[2:5].astype(np.float64))


def test_the_norm_is_summed_in_float64() -> None:
    delta = np.full((3, 3), 1e30, np.float32)
    assert Dense(delta).norm() == pytest.approx(3e30, rel=1e-7)
    assert Dense(DELTA).norm() == pytest.approx(np.sqrt(sum(i * i for i in range(24))))


@pytest.mark.parametrize(
    ("parts", "error", "reason"),
    [
        pytest.param({}, FormatError, "needs delta", id="nothing"),
        pytest.param({"values": DELTA}, FormatError, "needs delta", id="other-part"),
        pytest.param({"delta": DELTA, "x": DELTA}, FormatError, "needs delta", id="two-parts"),
        pytest.param({"delta": DELTA.astype("<f8")}, FormatError, "F32", id="double"),
        pytest.param({"delta": DELTA.reshape(4, 6)}, ShapeMismatch, "do not fit", id="P08"),
        pytest.param({"delta": DELTA[:1]}, ShapeMismatch, "do not fit", id="broadcast"),
        pytest.param({"delta": DELTA * np.float32(np.nan)}, NonFinite, "NaN", id="P01"),
        pytest.param({"delta": np.full_like(DELTA, -np.inf)}, NonFinite, "NaN", id="P02"),
    ],
)
def test_what_does_not_fit_is_refused(
    parts: dict[str, NDArray[np.float32]], error: type[InputError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        Dense.read(parts, (4, 3, 2))
