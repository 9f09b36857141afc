"""Factors found from boxes alone."""

import numpy as np
import pytest
from weightpatch.patches.arithmetic import dtypes
from weightpatch.patches.extraction.choose import operations_between
from weightpatch.patches.extraction.fitting import alternated, balanced
from weightpatch.patches.extraction.intervals import Boxes
from weightpatch.patches.extraction.recovery import outside, recovered
from weightpatch.patches.summation import patched

OUT, IN = 96, 160


def edited_boxes(rank: int, dtype: str = "BF16") -> Boxes:
    """The boxes of a random edit of a rank, about one part in twenty of the weights."""
    random = np.random.default_rng(rank)
    base = dtypes.narrow(random.standard_normal((OUT, IN)), dtype)
    a, b = random.standard_normal((OUT, rank)), random.standard_normal((rank, IN))
    delta = a @ b / (20 * np.sqrt(rank))
    return Boxes.between(base, dtypes.narrow(dtypes.widen(base, dtype) + delta, dtype), dtype)


@pytest.mark.parametrize("rank", [1, 3, 8, 16])
def test_the_rank_is_found_and_nearly_all_entries_reached(rank: int) -> None:
    boxes = edited_boxes(rank)
    found = recovered(boxes, 24)
    assert found is not None
    a, b = found
    assert a.shape == (OUT, rank)
    assert b.shape == (rank, IN)
    assert outside(a / boxes.scale, b, boxes) < 0.01 * OUT * IN


def test_noise_has_no_rank() -> None:
    random = np.random.default_rng(0)
    base = dtypes.narrow(random.standard_normal((OUT, IN)), "BF16")
    noise = random.standard_normal((OUT, IN)) / 20
    edited = dtypes.narrow(dtypes.widen(base, "BF16") + noise, "BF16")
    assert recovered(Boxes.between(base, edited, "BF16"), 24) is None


def test_a_rank_above_the_limit_is_not_found() -> None:
    assert recovered(edited_boxes(16), 4) is None


def test_a_growing_power_brings_entries_into_their_boxes() -> None:
    boxes = edited_boxes(2)
    u, values, vt = np.linalg.svd(boxes.centre, full_matrices=False)
    a, b = u[:, :2] * values[:2], vt[:2]
    counts = [outside(a, b, boxes)]
    for power in (2, 2, 4, 8, 16, 16):
        a, b = alternated(a, b, boxes, power, 1e-4)
        counts.append(outside(a, b, boxes))
    assert counts[-1] < counts[0] / 4


def test_balanced_factors_have_the_same_product() -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((5, 2)) * 1e6, random.standard_normal((2, 7))
    left, right = balanced(a, b)
    assert np.allclose(left @ right, a @ b)
    assert np.allclose(np.linalg.norm(left, axis=0), np.linalg.norm(right, axis=1))


@pytest.mark.parametrize("seed", range(6))
def test_weights_of_all_magnitudes_give_no_warning(seed: int) -> None:
    random = np.random.default_rng(seed)
    base = random.integers(0, 1 << 16, (16, 12)).astype("<u2")
    base[(base & 0x7F80) == 0x7F80] &= 0x3FFF
    delta = np.outer(random.standard_normal(16), random.standard_normal(12))
    edited = dtypes.narrow(dtypes.widen(base, "BF16") + delta, "BF16")
    found = operations_between(base, edited, "BF16")
    assert patched(base, "BF16", found).tobytes() == edited.tobytes()
