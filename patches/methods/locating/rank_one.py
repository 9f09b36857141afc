"""The rank-one update that gives one key a new value and moves other keys as little as can be.

Meng et al. 2022 (arXiv:2202.05262), eq. 2: W' = W + Λ(C⁻¹k*)ᵀ with Λ = (v* - Wk*) / ((C⁻¹k*)ᵀk*).
The same k* stands in all places, as Gupta et al. 2024 (arXiv:2403.07175) show it must: with a key
averaged over prefixes in one place and a bare one in another, a sequence of edits wrecks the model.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import NonFinite


def shrunk(moment: NDArray[np.floating], shrinkage: float) -> torch.Tensor:
    """(1 - s) C + s (tr C / n) I for shrinkage s, float64 [n, n].

    Few tokens leave directions of C badly known or empty; drawn towards a multiple of the identity,
    as in Ledoit and Wolf 2004, C can be inverted. With s = 1 all directions cost alike.
    """
    matrix = torch.from_numpy(moment.astype(np.float64)) * (1 - shrinkage)
    mean = float(np.trace(moment, dtype=np.float64)) / len(moment)
    matrix.diagonal().add_(shrinkage * mean)
    return matrix


class Whitener:
    """C⁻¹, factorised once for any number of keys."""

    def __init__(self, moment: NDArray[np.floating], shrinkage: float) -> None:
        factor, flaw = torch.linalg.cholesky_ex(shrunk(moment, shrinkage))
        if flaw.item():
            raise NonFinite(
                "the key statistics cannot be inverted",
                why="they come from too few tokens",
                hint="set a larger shrinkage or statistics_tokens",
            )
        self._factor = factor

    def solve(self, keys: NDArray[np.floating]) -> NDArray[np.float64]:
        """C⁻¹K for keys K [n, count]."""
        wide = torch.from_numpy(keys.astype(np.float64))
        solved: NDArray[np.float64] = torch.cholesky_solve(wide, self._factor).numpy()
        return solved

    def direction(
        self, key: NDArray[np.floating], at: NDArray[np.floating] | None = None
    ) -> NDArray[np.float64]:
        """uᵀ / (uᵀk) with u = C⁻¹k*, for k* [n]: the row that a residual is multiplied with.

        `at` is k, the key at which the residual is added in full; k* itself unless given.
        """
        u = self.solve(key[:, None])[:, 0]
        reached = key if at is None else at
        direction: NDArray[np.float64] = u / (u @ reached.astype(np.float64))
        return direction
