"""A locate-and-edit patch on one tensor: its factors, and the keys at which it writes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..conflicts.orientation import (
    KEYS,
    RESIDUALS,
    StoredEdit,
    is_transposed,
    kept_array,
    moved,
)
from ..errors import ShapeMismatch, Unsupported
from ..format.patch import Patch
from ..operations.lowrank import LowRank

Wide = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KeyedEdit:
    """Δ = A·B with A [out, r] and B [r, in]; its keys [n, in] and residuals [n, out]; float64.

    Whichever way round the tensor is stored, Δ maps a key [in] to [out].
    """

    label: str
    a: Wide
    b: Wide
    keys: Wide
    residuals: Wide

    def moved(self, keys: Wide) -> Wide:
        """Δ k for each of some keys [n, in]: [n, out]."""
        return moved(self.a, self.b, keys, transposed=False)


def keyed_edits(patches: Sequence[Patch], tensor: str) -> tuple[list[KeyedEdit], bool]:
    """The edits of some patches on a tensor, and whether it is stored [in, out] as in GPT-2.

    Raises Unsupported if a patch has other than low-rank parts or kept no keys
    there, ShapeMismatch if they do not fit.
    """
    read = [_Read(patch, tensor) for patch in patches]
    transposed = is_transposed([each.stored for each in read])
    if not all(each.stored.fits(transposed=transposed) for each in read):
        raise ShapeMismatch(f"the keys and residuals kept for {tensor} do not fit it")
    return [each.turned(transposed=transposed) for each in read], transposed


class _Read:
    """What a patch says of a tensor, as stored."""

    def __init__(self, patch: Patch, tensor: str) -> None:
        self.label = patch.label
        low = [each for each in patch.operations[tensor] if isinstance(each, LowRank)]
        if len(low) < len(patch.operations[tensor]):
            raise Unsupported(
                f"{patch.label} changes {tensor} by more than low-rank parts",
                why="only what is A·B can be solved for again",
                hint="compose by the plain sum, without --merge",
            )
        keys, residuals = (kept_array(patch, tensor, what) for what in (KEYS, RESIDUALS))
        if keys is None or residuals is None:
            raise Unsupported(
                f"{patch.label} keeps no keys for {tensor}",
                why="without them nobody knows what it should do there beside the others",
                hint="leave it out, compose by the plain sum, or make it again by a "
                "locate-and-edit method (rome, memit, alphaedit), which keeps them",
            )
        if keys.ndim != 2 or residuals.ndim != 2 or len(keys) != len(residuals):
            raise ShapeMismatch(f"{patch.label} keeps keys and residuals that do not fit together")
        self.stored = StoredEdit(
            np.concatenate([each.a[:] for each in low], axis=1, dtype=np.float64),
            np.concatenate([each.b[:] for each in low], axis=0, dtype=np.float64),
            keys.astype(np.float64),
            residuals.astype(np.float64),
        )

    def turned(self, *, transposed: bool) -> KeyedEdit:
        """The edit read one way round."""
        own = self.stored
        a, b = (own.right.T, own.left.T) if transposed else (own.left, own.right)
        return KeyedEdit(self.label, a, b, own.keys, own.residuals)
