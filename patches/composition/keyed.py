"""A locate-and-edit patch on one tensor: its factors, and the keys at which it writes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeMismatch, Unsupported
from ..format.patch import Patch
from ..operations.lowrank import LowRank
from .auxiliary import KEYS, RESIDUALS, kept

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
        moved: Wide = (keys @ self.b.T) @ self.a.T
        return moved

    @property
    def misfit(self) -> float:
        """How far what it does at its keys is from the residuals that it kept."""
        return float(np.linalg.norm(self.moved(self.keys) - self.residuals))


def keyed_edits(patches: Sequence[Patch], tensor: str) -> tuple[list[KeyedEdit], bool]:
    """The edits of some patches on a tensor, and whether it is stored [in, out] as in GPT-2.

    A square tensor does not tell by its shape, but a delta does: it maps its own keys to about its
    own residuals. Raises Unsupported if a patch has other than low-rank parts or kept no keys
    there, ShapeMismatch if they do not fit.
    """
    read = [_Read(patch, tensor) for patch in patches]
    straight, turned = (
        [each.turned(transposed=transposed) for each in read] for transposed in (False, True)
    )
    if all(straight) and all(turned):
        is_transposed = _misfit(turned) < _misfit(straight)
    else:
        is_transposed = not all(straight)
    found = [edit for edit in (turned if is_transposed else straight) if edit]
    if len(found) < len(read):
        raise ShapeMismatch(f"the keys and residuals kept for {tensor} do not fit it")
    return found, is_transposed


def _misfit(edits: Sequence[KeyedEdit | None]) -> float:
    return sum(edit.misfit for edit in edits if edit)


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
        keys, residuals = kept(patch, tensor, KEYS), kept(patch, tensor, RESIDUALS)
        if keys is None or residuals is None:
            raise Unsupported(
                f"{patch.label} keeps no keys for {tensor}",
                why="without them nobody knows what it should do there beside the others",
                hint="leave it out, compose by the plain sum, or make it again by a "
                "locate-and-edit method (rome, memit, alphaedit), which keeps them",
            )
        if keys.ndim != 2 or residuals.ndim != 2 or len(keys) != len(residuals):
            raise ShapeMismatch(f"{patch.label} keeps keys and residuals that do not fit together")
        self.keys, self.residuals = keys.astype(np.float64), residuals.astype(np.float64)
        self.left = np.concatenate([each.a[:] for each in low], axis=1, dtype=np.float64)
        self.right = np.concatenate([each.b[:] for each in low], axis=0, dtype=np.float64)

    def turned(self, *, transposed: bool) -> KeyedEdit | None:
        """The edit read one way round; None if keys and residuals do not fit it so."""
        a, b = (self.right.T, self.left.T) if transposed else (self.left, self.right)
        if (self.residuals.shape[1], self.keys.shape[1]) != (a.shape[0], b.shape[1]):
            return None
        return KeyedEdit(self.label, a, b, self.keys, self.residuals)
