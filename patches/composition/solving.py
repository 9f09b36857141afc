"""The delta nearest to the sum of some edits that gives each of them its own values at its keys.

    Δ = Σₘ Δₘ + Y Q,   min ‖Y‖²   subject to   Δ kᵢ = tᵢ for all keys of all edits

with Q [q, in] an orthonormal basis of the directions that the edits read, the rows of their B. The
rows of ROME, MEMIT and AlphaEdit span C⁻¹K, so the metric C of their own objectives is in Q; where
there are as many directions as keys, the constraints alone decide, and Δ is the solution of EMMET,
Δ = T (Kᵀ C⁻¹ K)⁻¹ Kᵀ C⁻¹ (Gupta, Sajnani, Anumanchipalli 2024, "A Unified Framework for Model
Editing", arXiv:2403.14236), which for many edits is what ROME's is for one. Keys are brought
to length 1, and singular values far below the largest are damped (Tikhonov):

    Y = E V diag(s / (s² + λ s₁²)) Uᵀ   for   Q K̂ᵀ = U diag(s) Vᵀ,   Ê = T̂ᵀ - Σₘ Δₘ K̂ᵀ
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .keyed import KeyedEdit, Wide

_NEGLIGIBLE = 1e-10
"""Of the directions that the edits read: below this part of the largest they are rounding noise."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Δ = A·B with A [out, q] and B [q, in]; keys [N, in] and the values [N, out] wanted there.

    `sum_misses` and `misses` [N] say how far Δ is from each value, as part of the value's length,
    before and after solving. `growth` is the norm of Δ over that of the plain sum. `condition` is
    that of the system, None if it is singular.
    """

    a: Wide
    b: Wide
    keys: Wide
    values: Wide
    sum_misses: Wide
    misses: Wide
    growth: float
    condition: float | None


def solve(edits: Sequence[KeyedEdit], *, ridge: float, by_residuals: bool) -> Solution:
    """Solve for all keys of all edits at once.

    The values wanted are what each edit alone does at its own keys, or `by_residuals` those that it
    kept.
    """
    keys = np.concatenate([edit.keys for edit in edits])
    values = np.concatenate(
        [edit.residuals if by_residuals else edit.moved(edit.keys) for edit in edits]
    )
    a = np.concatenate([edit.a for edit in edits], axis=1)
    b = np.concatenate([edit.b for edit in edits])
    basis = _row_space(b)
    inside = a @ (b @ basis.T)
    seen = keys @ basis.T
    missing = values - seen @ inside.T
    solved = inside + _correction(keys, seen, missing, ridge)
    left = values - seen @ solved.T
    sizes = np.linalg.norm(values, axis=1)
    sizes = np.maximum(sizes, max(1e-3 * float(sizes.max(initial=0)), 1e-30))
    return Solution(
        solved,
        basis,
        keys,
        values,
        np.linalg.norm(missing, axis=1) / sizes,
        np.linalg.norm(left, axis=1) / sizes,
        float(np.linalg.norm(solved) / max(float(np.linalg.norm(inside)), 1e-30)),
        _condition(keys, seen),
    )


def _row_space(b: Wide) -> Wide:
    """An orthonormal basis [q, in] of the rows of B, each of which counts alike."""
    lengths = np.linalg.norm(b, axis=1, keepdims=True)
    _, sizes, basis = np.linalg.svd(b / np.maximum(lengths, 1e-300), full_matrices=False)
    return np.asarray(basis[sizes > _NEGLIGIBLE * max(float(sizes[0]), 1e-300)])


def _correction(keys: Wide, seen: Wide, missing: Wide, ridge: float) -> Wide:
    """Y [out, q] of the formula above."""
    lengths = _lengths(keys)
    left, sizes, right = np.linalg.svd((seen / lengths).T, full_matrices=False)
    largest = float(sizes.max(initial=0))
    damped = sizes / np.maximum(sizes**2 + ridge * largest**2, 1e-300)
    damped[sizes <= _NEGLIGIBLE * largest] = 0
    return np.asarray(((missing / lengths).T @ right.T) * damped @ left.T)


def _condition(keys: Wide, seen: Wide) -> float | None:
    sizes = np.linalg.svd(seen / _lengths(keys), compute_uv=False)
    if len(keys) > len(sizes) or sizes[-1] <= _NEGLIGIBLE * sizes[0]:
        return None
    return float(sizes[0] / sizes[-1])


def _lengths(keys: Wide) -> Wide:
    return np.asarray(np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-30))
