import numpy as np
import pytest
from weightpatch.patches.arithmetic.grid import MAX_RANK
from weightpatch.patches.methods.factors import stored_sum


@pytest.mark.parametrize("transposed", [False, True])
def test_a_high_rank_is_split(transposed):
    random = np.random.default_rng(0)
    residuals = random.standard_normal((MAX_RANK + 3, 4), np.float32)
    rows = random.standard_normal((MAX_RANK + 3, 600))
    parts = stored_sum(residuals, rows, transposed=transposed)
    assert [part.size for part in parts] == [MAX_RANK, 3]
    delta = sum(part.rows(0, part.shape[0]) for part in parts)
    dense = residuals.T @ rows
    np.testing.assert_allclose(delta, dense.T if transposed else dense, rtol=1e-3, atol=1e-3)
