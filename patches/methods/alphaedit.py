"""AlphaEdit: MEMIT with each layer's update kept from touching what the layer is known to carry.

    Δ = R K₁ᵀP (KₚKₚᵀP + K₁K₁ᵀP + cI)⁻¹        P = Q Qᵀ

Fang et al. 2025, "AlphaEdit: Null-Space Constrained Knowledge Editing" (arXiv:2410.02355), eq. 11
and algorithm 1. Q are the eigenvectors of C = E[k kᵀ] whose eigenvalues are below a threshold, so
that an update cannot touch what lies along the others; how much of the keys' energy is left within
Q depends on how steeply the eigenvalues fall. Kₚ are the keys of the edits made before in the same
sequence, and of no others. With M = [Kₚ K₁], symmetric P = P² and X(YX + cI)⁻¹ = (XY + cI)⁻¹X for
X = MᵀP and Y = M,

    Δ = R B        B = the last N rows of (MᵀPM + cI)⁻¹ MᵀP

so that factors of rank N come out and what is solved is as wide as there are keys, not inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checkpoints.models import EditableModel
from ..errors import RequestRefused
from ..progress import Progress
from ..requests import EditRequest
from .base import Edit, Resources
from .checks import LARGEST, require
from .locating.default_layers import default_layers
from .locating.spreading import Solve, SpreadHyperparameters, spread
from .statistics.key_statistics import SecondMoment

_DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class AlphaEditHyperparameters(SpreadHyperparameters):
    """What AlphaEdit can be told; raises RequestRefused for numbers outside their range."""

    nullspace_threshold: float = 0.5
    """Eigenvalues of C below this many times their mean span the null space."""
    ridge: float = 0.01
    """L2, the weight of cI: c is this many times E‖k‖²."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("nullspace_threshold", "ridge"):
            require(
                0 < getattr(self, name) <= LARGEST, f"{name} is above 0 and at most {LARGEST:g}"
            )


class AlphaEdit:
    """The method `alphaedit`."""

    name: ClassVar[str] = "alphaedit"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "as memit, each update projected away from the keys of other text"
    paper: ClassVar[str] = "Fang et al. 2025, arXiv:2410.02355"
    tools: ClassVar[tuple[str, ...]] = ()
    Hyperparameters: ClassVar[type[AlphaEditHyperparameters]] = AlphaEditHyperparameters

    @classmethod
    def defaults(cls, model: EditableModel) -> AlphaEditHyperparameters:
        """The layers by architecture and size, the rest as in AlphaEditHyperparameters."""
        return AlphaEditHyperparameters(layers=default_layers(model))

    def edit(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        hyperparameters: AlphaEditHyperparameters,
        *,
        seed: int,
        resources: Resources,
        progress: Progress,
    ) -> Edit:
        """Carry out the requests in batches, with one operation a layer and batch up to rank 512.

        `sampled` says under "nullspace" how many directions each layer was left, and which share of
        the energy E‖k‖² lies along them. Raises RequestRefused, also if C has no eigenvalue below
        the threshold, NonFinite, and what `KeyStatistics` raises.
        """
        settings = hyperparameters
        spaces: list[Mapping[str, Any]] = []

        def solver(moment: SecondMoment) -> Solve:
            space = NullSpace(moment.matrix, settings.nullspace_threshold)
            spaces.append({"module": moment.record["module"], **space.described()})
            return lambda keys, earlier: space.solve(keys, earlier, settings.ridge)

        edit = spread(
            model, requests, settings, solver, seed=seed, resources=resources, progress=progress
        )
        return replace(edit, sampled={**edit.sampled, "nullspace": spaces})


class NullSpace:
    """The eigenvectors Q [in, m] of C whose eigenvalues are below `threshold` times their mean."""

    def __init__(self, moment: NDArray[np.floating], threshold: float) -> None:
        values, vectors = np.linalg.eigh(moment.astype(np.float64))
        small = values < threshold * values.mean()
        self.basis: NDArray[np.float64] = vectors[:, small]
        self.energy = float(values.sum())
        self.kept = float(values[small].sum())
        if not self.basis.shape[1]:
            raise RequestRefused(
                "the keys of other text leave no direction free",
                why=f"no eigenvalue of their covariance is below {threshold:g} times the mean",
                hint="set a larger nullspace_threshold",
            )

    def described(self) -> dict[str, int | float]:
        """The number of directions, and their share of the trace of C to 6 digits."""
        share = round(self.kept / self.energy, _DIGITS)
        return {"directions": self.basis.shape[1], "energy": share}

    def solve(
        self, keys: NDArray[np.floating], earlier: NDArray[np.floating], ridge: float
    ) -> NDArray[np.float64]:
        """B [N, in] for keys K₁ [in, N] and earlier keys Kₚ [in, count]."""
        free = self.basis.T @ np.concatenate([earlier, keys], axis=1).astype(np.float64)
        gram = free.T @ free + ridge * self.energy * np.eye(free.shape[1])
        solved = np.linalg.solve(gram, free.T)[earlier.shape[1] :]
        return np.asarray(solved @ self.basis.T, np.float64)
