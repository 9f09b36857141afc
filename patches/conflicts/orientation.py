"""Which way round a tensor is stored, as the keys and residuals tell that edits kept beside it.

An edit's delta Δ maps its key k [in] to about its residual r [out] (Meng et al. 2022,
arXiv:2202.05262, eq. 2). A weight is stored [out, in], or [in, out] as in GPT-2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..format.patch import Patch
from ..operations.base import Array

KEYS, RESIDUALS = "keys", "residuals"
"""What is kept of an edit beside its delta: [N, in] and [N, out]."""


def kept_array(patch: Patch, tensor: str, what: str) -> Array | None:
    """One auxiliary array of a patch, None if it did not keep it; raises as `Patch.auxiliary`."""
    return patch.auxiliary.get(f"{tensor}::aux.{what}")


@dataclass(frozen=True, eq=False)
class StoredEdit:
    """What is added to a tensor as stored, `left` [rows, r] times `right` [r, columns]; float64.

    `keys` [N, in] and `residuals` [N, out] are those that were kept.
    """

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    keys: NDArray[np.float64]
    residuals: NDArray[np.float64]

    def fits(self, *, transposed: bool) -> bool:
        """Whether keys and residuals have the sizes of a tensor stored one way round."""
        shape = (len(self.left), self.right.shape[1])
        kept = (self.residuals.shape[1], self.keys.shape[1])
        return kept == (shape[::-1] if transposed else shape)

    def misfit(self, *, transposed: bool) -> float:
        """How far what it does at its keys is from the residuals that it kept."""
        found = moved(self.left, self.right, self.keys, transposed=transposed)
        return float(np.linalg.norm(found - self.residuals))


def moved(
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    keys: NDArray[np.float64],
    *,
    transposed: bool,
) -> NDArray[np.float64]:
    """Δk for each of some keys [N, in]: [N, out]."""
    found: NDArray[np.float64] = (keys @ left) @ right if transposed else (keys @ right.T) @ left.T
    return found


def is_transposed(edits: Sequence[StoredEdit]) -> bool:
    """Whether the tensor that these edits change is stored [in, out].

    A square one does not tell by its shape, but deltas do: they map their own keys to about their
    own residuals.
    """
    straight, turned = (
        all(each.fits(transposed=transposed) for each in edits) for transposed in (False, True)
    )
    if not (straight and turned):
        return not straight
    return _misfit(edits, transposed=True) < _misfit(edits, transposed=False)


def _misfit(edits: Sequence[StoredEdit], *, transposed: bool) -> float:
    return sum(each.misfit(transposed=transposed) for each in edits)
