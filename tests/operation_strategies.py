"""Hypothesis strategies: tensors of any finite bits, and operations of every kind on them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.operations.sparse import Sparse

Bits = NDArray[Any]
KIND = {"F32": "<u4", "F16": "<u2", "BF16": "<u2"}
VALUES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
EXPONENT = {"F32": 0x7F80_0000, "F16": 0x7C00, "BF16": 0x7F80}

dtypes = st.sampled_from(["F32", "F16", "BF16"])


def raw(draw: st.DrawFn, shape: tuple[int, ...], kind: str) -> Bits:
    """An array of any bits."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer(draw(st.binary(min_size=size, max_size=size)), kind).reshape(shape)


@st.composite
def finite(draw: st.DrawFn, shape: tuple[int, ...], dtype: str) -> Bits:
    """Any finite bits of a type: subnormal, negative zero and the largest among them."""
    bits, exponent = raw(draw, shape, KIND[dtype]), EXPONENT[dtype]
    lowest = exponent & -exponent
    safe = np.where(bits & exponent == exponent, bits - lowest, bits).astype(KIND[dtype])
    return safe.view(VALUES[dtype])


@st.composite
def weights(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Bits, str]:
    """A tensor and its type."""
    dtype = draw(dtypes)
    return draw(finite(shape, dtype)), dtype


@st.composite
def factors(draw: st.DrawFn, shape: tuple[int, int]) -> Bits:
    """Rows on the grid: whole numbers below 2^22, times a power of two for each."""
    numbers = raw(draw, shape, "<i4") % 2**23 - (2**22 - 1)
    power = st.integers(-149, 40) | st.integers(-40, -10)
    powers = draw(st.lists(power, min_size=shape[0], max_size=shape[0]))
    return np.ldexp(np.clip(numbers, None, 2**22 - 1), np.array(powers)[:, None]).astype("<f4")


@st.composite
def moderate(draw: st.DrawFn, shape: tuple[int, ...]) -> Bits:
    """Values of any type for which a sum seldom overflows."""
    dtype = draw(dtypes)
    if dtype == "F32" and len(shape) == 2:
        return draw(factors(shape))
    return draw(finite(shape, "F16")) if dtype != "BF16" else draw(finite(shape, "BF16"))


@st.composite
def lowranks(draw: st.DrawFn, shape: tuple[int, int]) -> LowRank:
    rank = draw(st.integers(1, 4))
    a, b = draw(factors((shape[0], rank))), draw(factors((shape[1], rank))).T
    return LowRank.read({"A": a, "B": np.ascontiguousarray(b)}, shape)


@st.composite
def denses(draw: st.DrawFn, shape: tuple[int, int]) -> Dense:
    return Dense.read({"delta": draw(moderate(shape))}, shape)


@st.composite
def entries(draw: st.DrawFn, places: list[int]) -> dict[str, Bits]:
    """Indices of either type, and values of any."""
    indices = np.array(sorted(places), draw(st.sampled_from(["<i4", "<i8"])))
    return {"indices": indices, "values": draw(moderate((len(places),)))}


@st.composite
def sparses(draw: st.DrawFn, shape: tuple[int, int]) -> Sparse:
    places = st.sets(st.integers(0, shape[0] * shape[1] - 1), min_size=1)
    return Sparse.read(draw(entries(list(draw(places)))), shape)


@st.composite
def replacements(draw: st.DrawFn, shape: tuple[int, int]) -> list[Operation]:
    """A whole tensor replaced, or listed entries and sums, none of which meet on a replaced one."""
    if draw(st.booleans()):
        return [Replace.read({"values": draw(moderate(shape))}, shape)]
    size = shape[0] * shape[1]
    owners = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    found: list[Operation] = []
    for owner, kind in ((1, Replace), (2, Sparse), (3, Replace)):
        places = [place for place, each in enumerate(owners) if each == owner]
        if places:
            found.append(kind.read(draw(entries(places)), shape))
    return found


@st.composite
def sums(draw: st.DrawFn) -> tuple[Bits, str, list[Operation]]:
    """A tensor, its type, and operations of the kinds that can meet on it."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    bits, dtype = draw(weights(shape))
    added = st.lists(lowranks(shape) | denses(shape) | sparses(shape), min_size=1, max_size=3)
    listed = st.lists(sparses(shape), min_size=1, max_size=3)
    return bits, dtype, draw(added | listed | replacements(shape))


@st.composite
def many_lowranks(draw: st.DrawFn) -> tuple[Bits, str, list[Operation]]:
    """A tensor and as many low-rank terms as a composition brings along."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    bits, dtype = draw(weights(shape))
    return bits, dtype, draw(st.lists(lowranks(shape), min_size=1, max_size=9))
