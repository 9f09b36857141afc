"""How a tensor is stored is told by all edits of it together."""

import numpy as np
import pytest
from weightpatch.patches.conflicts.orientation import StoredEdit, is_transposed, moved


def stored(seed: int, rows: int, columns: int, *, turned: bool) -> StoredEdit:
    """Δ = r kᵀ / ‖k‖² for a random key and residual, stored [rows, columns]."""
    random = np.random.default_rng(seed)
    out, width = (columns, rows) if turned else (rows, columns)
    key, residual = random.standard_normal((1, width)), random.standard_normal((1, out))
    left, right = residual.T, key / np.sum(key**2)
    if turned:
        left, right = right.T, left.T
    return StoredEdit(left, right, key, residual)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", [(6, 10), (8, 8)])
def test_edits_tell_by_their_shape_or_by_what_they_do(shape, *, turned: bool):
    edits = [stored(seed, *shape, turned=turned) for seed in range(3)]
    assert is_transposed(edits) is turned
    for edit in edits:
        assert edit.misfit(transposed=turned) == pytest.approx(0, abs=1e-12)
        delta = edit.left @ edit.right
        expected = edit.keys @ (delta if turned else delta.T)
        assert moved(edit.left, edit.right, edit.keys, transposed=turned) == pytest.approx(expected)


def test_one_that_does_not_do_what_it_kept_is_outvoted():
    astray = stored(9, 8, 8, turned=True)
    assert is_transposed([astray])
    edits = [stored(seed, 8, 8, turned=False) for seed in range(3)]
    assert not is_transposed([*edits, astray])
