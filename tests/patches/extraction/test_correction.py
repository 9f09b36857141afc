"""From nearly right factors to the very bits."""

import numpy as np
from weightpatch.patches.arithmetic import dtypes
from weightpatch.patches.extraction.correction import corrected, factor_terms
from weightpatch.patches.summation import patched

RANDOM = np.random.default_rng(3)
A, B = RANDOM.standard_normal((12, 2)), RANDOM.standard_normal((2, 20))
BASE = dtypes.narrow(RANDOM.standard_normal((12, 20)) * 10, "BF16")


def test_fine_terms_hold_what_snapping_cut_off() -> None:
    coarse = sum(term.rows(0, 12) for term in factor_terms(A, B, fine=False))
    fine = sum(term.rows(0, 12) for term in factor_terms(A, B, fine=True))
    assert np.abs(fine - A @ B).max() < 1e-5 * np.abs(coarse - A @ B).max()


def test_entries_that_factors_miss_are_corrected() -> None:
    edited = dtypes.narrow(dtypes.widen(BASE, "BF16") + A @ B, "BF16")
    terms = factor_terms(A * 1.01, B, fine=False)
    found = corrected(BASE, edited, "BF16", terms)
    assert found is not None
    assert [operation.kind for operation in found][:2] == ["lowrank", "sparse"]
    assert np.array_equal(patched(BASE, "BF16", found), edited)


def test_nothing_is_added_to_factors_that_are_right() -> None:
    terms = factor_terms(A, B, fine=False)
    edited = patched(BASE, "BF16", terms)
    assert corrected(BASE, edited, "BF16", terms) == terms
