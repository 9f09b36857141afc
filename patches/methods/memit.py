"""MEMIT: many facts at once, spread over several layers, each layer solved in closed form.

    W' = W + R Kᵀ (λC + KKᵀ)⁻¹ = W + R (λI + KᵀC⁻¹K)⁻¹ (C⁻¹K)ᵀ

Meng, Sen Sharma, Andonian, Belinkov, Bau 2023, "Mass-Editing Memory in a Transformer"
(arXiv:2210.07229), eq. 14. Written the second way, C is factorised once for all batches and what
is solved for N requests is N by N; for one request and λ to 0 it is the update of ROME.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checkpoints.models import EditableModel
from ..progress import Progress
from ..requests import EditRequest
from .base import Edit, Resources
from .checks import LARGEST, require
from .locating.default_layers import default_layers
from .locating.rank_one import Whitener
from .locating.spreading import Solve, SpreadHyperparameters, spread
from .statistics.key_statistics import SecondMoment


@dataclass(frozen=True, kw_only=True)
class MemitHyperparameters(SpreadHyperparameters):
    """What MEMIT can be told; raises RequestRefused for numbers outside their range."""

    covariance_weight: float = 300.0
    """λ, how much the keys of other text count against those of the requests."""
    shrinkage: float = 0.1
    """How far the covariance is drawn to a multiple of the identity: 0 not at all, 1 wholly."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 < self.covariance_weight <= LARGEST,
            f"covariance_weight is above 0 and at most {LARGEST:g}",
        )
        require(0 <= self.shrinkage <= 1, "shrinkage is 0 to 1")


class Memit:
    """The method `memit`."""

    name: ClassVar[str] = "memit"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "many requests at once, spread over several layers, in closed form"
    paper: ClassVar[str] = "Meng et al. 2023, arXiv:2210.07229"
    tools: ClassVar[tuple[str, ...]] = ()
    Hyperparameters: ClassVar[type[MemitHyperparameters]] = MemitHyperparameters

    @classmethod
    def defaults(cls, model: EditableModel) -> MemitHyperparameters:
        """The layers by architecture and size, the rest as in MemitHyperparameters."""
        return MemitHyperparameters(layers=default_layers(model))

    def edit(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        hyperparameters: MemitHyperparameters,
        *,
        seed: int,
        resources: Resources,
        progress: Progress,
    ) -> Edit:
        """Carry out the requests in batches, with one operation a layer and batch up to rank 512.

        Raises RequestRefused, NonFinite, and what `KeyStatistics` raises.
        """
        settings = hyperparameters

        def solver(moment: SecondMoment) -> Solve:
            whitener = Whitener(moment.matrix, settings.shrinkage)
            return lambda keys, _earlier: against_covariance(
                keys, whitener, settings.covariance_weight
            )

        return spread(
            model, requests, settings, solver, seed=seed, resources=resources, progress=progress
        )


def against_covariance(
    keys: NDArray[np.float32], whitener: Whitener, weight: float
) -> NDArray[np.float64]:
    """Kᵀ(λC + KKᵀ)⁻¹ [N, in] for keys K [in, N], which is (λI + KᵀC⁻¹K)⁻¹(C⁻¹K)ᵀ."""
    white = whitener.solve(keys)
    gram = keys.T.astype(np.float64) @ white
    solved = np.linalg.solve(gram + weight * np.eye(len(gram)), white.T)
    return np.asarray(solved, np.float64)
