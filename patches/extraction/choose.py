"""The operations of fewest bytes that turn one tensor into another, bit for bit."""

import numpy as np

from ..arithmetic import dtypes
from ..errors import NonFinite, ShapeMismatch, Unsupported
from ..operations.base import Array, Operation
from ..operations.replace import Replace
from ..stored_array import Part
from ..summation import patched
from .correction import corrected, factor_terms
from .intervals import Boxes
from .plain import best_plain, stored_bytes
from .reaching import raw
from .recovery import Factors, recovered

_MAX_RANK = 128
_POOR = 0.4  # of the bytes of the best without factors
_MAX_ELEMENTS = 1 << 27
"""Entries up to which factors are sought: the search takes some forty bytes for each."""


def operations_between(base: Part, edited: Part, dtype: str) -> list[Operation]:
    """Operations with round(W + Δ) = W* bit for bit, those that take the fewest bytes; [] if equal.

    `base` and `edited` are bits of `dtype` in one shape, W and W*. The result of what is returned
    has been computed and compared, so it is exact whatever was found. Low-rank factors come from an
    optimisation and may differ in their last bits between machines. Raises ShapeMismatch,
    NonFinite, Unsupported.
    """
    if base.shape != edited.shape:
        raise ShapeMismatch(
            f"an edited tensor {list(edited.shape)} is not of the base's shape {list(base.shape)}"
        )
    if not base.shape:
        raise Unsupported("a tensor without axes cannot be patched")
    before, after = _in_memory(base, dtype), _in_memory(edited, dtype)
    if np.array_equal(raw(before), raw(after)):
        return []
    _require_finite(before, dtype, what="base")
    _require_finite(after, dtype, what="edited")
    plain = best_plain(before, after, dtype)
    found = _lowrank(before, after, dtype, stored_bytes([plain])) or [plain]
    return found if _is_exact(before, after, dtype, found) else [Replace(after, None, after.shape)]


def _lowrank(base: Array, edited: Array, dtype: str, most: int) -> list[Operation] | None:
    """Low-rank terms with corrections that take less than `most` bytes, if there are any."""
    if base.ndim != 2 or base.size > _MAX_ELEMENTS:
        return None
    limit = min(_MAX_RANK, min(base.shape) // 4, most // (4 * sum(base.shape)))
    if limit < 1:
        return None
    boxes = Boxes.between(base, edited, dtype)
    best = _from_boxes(base, edited, dtype, boxes, limit, most)
    if best is None or stored_bytes(best) > _POOR * most:
        # Some tools round the delta to the weights' type before they add it.
        most = most if best is None else stored_bytes(best)
        boxes = boxes.loosened(dtype)
        best = _from_boxes(base, edited, dtype, boxes, limit, most) or best
    return best


def _is_exact(base: Array, edited: Array, dtype: str, operations: list[Operation]) -> bool:
    """Whether the operations give the bits of `edited`, by computing them."""
    try:
        return bool(np.array_equal(raw(patched(base, dtype, operations)), raw(edited)))
    except NonFinite:
        return False


def _from_boxes(
    base: Array, edited: Array, dtype: str, boxes: Boxes, limit: int, most: int
) -> list[Operation] | None:
    try:
        factors = recovered(boxes, limit)
    except np.linalg.LinAlgError:
        # No decomposition converged: there are no factors to be had, and other operations are.
        return None
    if factors is None:
        return None
    best = None
    for fine in (False, True) if dtype == "F32" else (False,):
        found = _corrected(base, edited, dtype, factors, fine=fine)
        if found is not None and stored_bytes(found) < most:
            best, most = found, stored_bytes(found)
    return best


def _corrected(
    base: Array, edited: Array, dtype: str, factors: Factors, *, fine: bool
) -> list[Operation] | None:
    try:
        return corrected(base, edited, dtype, factor_terms(*factors, fine=fine))
    except NonFinite:
        # Factors that do not fit float32 are no factors; new values still do.
        return None


def _in_memory(part: Part, dtype: str) -> Array:
    """All of the bits; raises Unsupported."""
    return np.ascontiguousarray(part[:], dtype=dtypes.storage(dtype))


def _require_finite(bits: Array, dtype: str, *, what: str) -> None:
    if not dtypes.is_finite(bits, dtype):
        raise NonFinite(
            f"the {what} tensor holds NaN or infinity",
            why="a patch adds finite numbers to finite weights",
            hint="extract from checkpoints whose weights are finite",
        )
