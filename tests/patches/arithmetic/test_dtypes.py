"""Storage types: widened exactly, and narrowed as torch narrows."""

import numpy as np
import pytest
import safetensors
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from weightpatch.patches.arithmetic.dtypes import STORAGE, WIDTH, narrow, storage, widen
from weightpatch.patches.errors import NonFinite, Unsupported

TORCH = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
ALL_16_BITS = np.arange(2**16, dtype="<u2")


def by_torch(values: NDArray[np.float64], dtype: str) -> NDArray[np.generic]:
    tensor = torch.from_numpy(values).to(torch.float32).to(TORCH[dtype])
    return tensor.view(torch.uint16).numpy() if dtype == "BF16" else tensor.numpy()


def bits(array: NDArray[np.generic]) -> NDArray[np.unsignedinteger]:
    return array.view(f"<u{array.itemsize}")


def finite(dtype: str) -> NDArray[np.float64]:
    """Every finite number of a type of two bytes, sorted; of float32 some."""
    if dtype == "F32":
        pattern = np.random.default_rng(0).integers(0, 2**32, 2**16, dtype=np.uint32)
        edges = [0, 1, 2, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x80000001]
        values = widen(np.append(pattern, np.array(edges, np.uint32)).view("<f4"), "F32")
    else:
        values = widen(ALL_16_BITS.view(STORAGE[dtype]), dtype)
    return np.unique(values[np.isfinite(values)])


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_what_is_widened_is_narrowed_to_the_same_bits(dtype: str) -> None:
    pattern = np.random.default_rng(1).integers(0, 2**32, 2**16, dtype=np.uint32)
    stored = (pattern if dtype == "F32" else ALL_16_BITS).view(STORAGE[dtype])
    stored = stored[np.isfinite(widen(stored, dtype))]
    assert np.array_equal(bits(narrow(widen(stored, dtype), dtype)), bits(stored))


def test_bfloat16_is_widened_as_torch_widens_it() -> None:
    expected = torch.from_numpy(ALL_16_BITS).view(torch.bfloat16).to(torch.float64).numpy()
    assert np.array_equal(widen(ALL_16_BITS, "BF16"), expected, equal_nan=True)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_ties_and_their_neighbours_are_narrowed_as_torch_narrows_them(dtype: str) -> None:
    numbers = finite(dtype)
    ties = (numbers[:-1] + numbers[1:]) / 2
    # The nearest float64 on each side of a tie is a tie again once it has been rounded to float32.
    around = np.concatenate([ties, np.nextafter(ties, -np.inf), np.nextafter(ties, np.inf)])
    single = np.nextafter(ties.astype(np.float32), np.float32(0)).astype(np.float64)
    values = np.concatenate([numbers, around, single])
    assert np.array_equal(bits(narrow(values, dtype)), bits(by_torch(values, dtype)))


def test_rounding_goes_through_float32() -> None:
    just_above_a_tie = np.array([1 + 2**-8 + 2**-40])
    assert widen(narrow(just_above_a_tie, "BF16"), "BF16").tolist() == [1.0]


@given(st.lists(st.floats(-3e38, 3e38), min_size=1), st.sampled_from(["F32", "BF16"]))
def test_any_number_is_narrowed_as_torch_narrows_it(numbers: list[float], dtype: str) -> None:
    values = np.array(numbers)
    assert np.array_equal(bits(narrow(values, dtype)), bits(by_torch(values, dtype)))


@given(st.lists(st.floats(-65504, 65504) | st.floats(-1e-4, 1e-4), min_size=1))
def test_any_number_is_narrowed_to_float16_as_torch_narrows_it(numbers: list[float]) -> None:
    values = np.array(numbers)
    assert np.array_equal(bits(narrow(values, "F16")), bits(by_torch(values, "F16")))


def before(value: float) -> float:
    """Give the float32 below, since F16 and BF16 are rounded from float32."""
    return float(np.nextafter(np.float32(value), np.float32(0)))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("dtype", "fits", "overflows"),
    [
        ("F32", np.nextafter(2.0**128 - 2.0**103, 0), 2.0**128 - 2.0**103),
        ("F16", before(65520), 65520),
        ("BF16", before(2.0**128 - 2.0**119), 2.0**128 - 2.0**119),
    ],
)
def test_a_sum_that_does_not_fit_is_refused_and_the_one_below_is_not(
    dtype: str, fits: float, overflows: float, sign: int
) -> None:
    with pytest.raises(NonFinite, match=f"does not fit {dtype}"):
        narrow(np.array([0, sign * overflows]), dtype)
    largest = narrow(np.array([sign * fits]), dtype)
    assert abs(widen(largest, dtype)[0]) == finite(dtype).max()


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(0x7FF0_0000_0000_0000, id="inf"),
        pytest.param(0xFFF0_0000_0000_0000, id="-inf"),
        pytest.param(0x7FF8_0000_0000_0000, id="nan"),
        pytest.param(0x7FFF_FFFF_FFFF_FFFF, id="nan-all-ones"),
        pytest.param(0xFFFF_FFFF_FFFF_FFFF, id="-nan-all-ones"),
        pytest.param(0x7FF0_0000_0000_0001, id="nan-signalling"),
    ],
)
def test_nan_and_infinity_are_refused(dtype: str, pattern: int) -> None:
    values = np.array([pattern], np.uint64).view(np.float64)
    with pytest.raises(NonFinite):
        narrow(values, dtype)


@pytest.mark.parametrize("dtype", ["I32", "F64", "F8_E4M3", "U8", "x"])
def test_other_types_cannot_be_patched(dtype: str) -> None:
    with pytest.raises(Unsupported, match=dtype):
        storage(dtype)
    with pytest.raises(Unsupported, match=dtype):
        narrow(np.zeros(1), dtype)


@pytest.mark.parametrize("dtype", list(WIDTH))
def test_safetensors_gives_each_type_the_same_width(dtype: str) -> None:
    header = f'{{"w":{{"dtype":"{dtype}","shape":[3],"data_offsets":[0,{3 * WIDTH[dtype]}]}}}}'
    content = len(header).to_bytes(8, "little") + header.encode() + bytes(3 * WIDTH[dtype])
    [(name, tensor)] = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    assert (name, tensor["dtype"], tensor["shape"]) == ("w", dtype, [3])
