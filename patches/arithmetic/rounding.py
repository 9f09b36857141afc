"""round(W + Δ), strip by strip in arrays that are used again and fit a core's cache."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dtypes


class RoundedSum:
    """Adds deltas to stored weights and rounds to their type, without new arrays.

    One thread uses it for one type at a time; `shape` [rows, columns] is the largest strip. Deltas
    are float64; a delta of float32 numbers, `single`, needs no more than float32: rounding the sum
    of two of them to float64 on the way changes nothing, since 53 ≥ 2·24 + 2 (Figueroa 1995, When
    is double rounding innocuous?).
    """

    def __init__(self, dtype: str, shape: tuple[int, int], *, single: bool = False) -> None:
        self.dtype = dtype
        self.delta = np.empty(shape, dtype=np.float32 if single else np.float64)
        self.more = np.empty_like(self.delta)
        self._wide = np.empty(shape, dtype=np.float32)
        self._bits = np.empty(shape, dtype=np.uint32)

    def into(self, result: NDArray[Any], bits: NDArray[Any], delta: NDArray[Any]) -> None:
        """Write round(W + Δ) into `result`; `bits` are W's, all three [rows, columns].

        `delta` is used up. Rounded to float32, then to the type, each to nearest even. What does
        not fit comes out infinite or as no number.
        """
        rows = len(bits)
        wide, scratch = self._wide[:rows], self._bits[:rows]
        # +0 takes the sign from a negative zero: the sum of two zeros is then 0 whatever the sign
        # that the BLAS gave a product of zero and a negative number.
        np.add(dtypes.single(bits, self.dtype, out=wide), np.float32(0), out=wide)
        np.add(delta, wide, out=delta)
        np.copyto(wide, delta, casting="same_kind")
        if self.dtype == "BF16":
            dtypes.round_bf16(wide, result, scratch)
        else:
            np.copyto(result, wide, casting="same_kind")
