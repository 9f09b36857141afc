"""ROME: one fact, one layer, one rank-one update, in closed form.

    W' = W + δ uᵀ / (uᵀk)        u = C⁻¹ k*

Meng, Bau, Andonian, Belinkov 2022, "Locating and Editing Factual Associations in GPT"
(arXiv:2202.05262), eq. 2. With k = k* the key is used consistently as in R-ROME: Gupta,
Baskaran, Anumanchipalli 2024, "Rebuilding ROME" (arXiv:2403.07175).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch

from ..checkpoints.models import EditableModel
from ..progress import Progress
from ..requests import EditRequest
from .base import Edit, Resources
from .checks import require
from .factors import stored
from .locating.default_layers import default_layer
from .locating.hyperparameters import LocateHyperparameters
from .locating.locate import locate, mean_key, require_editable
from .locating.rank_one import Whitener
from .running.borrowing import borrowed
from .running.prefixes import sample_prefixes
from .running.prompts import require_rows
from .sequence import in_sequence
from .statistics.key_statistics import KeyStatistics


@dataclass(frozen=True, kw_only=True)
class RomeHyperparameters(LocateHyperparameters):
    """What ROME can be told; raises RequestRefused for numbers outside their range."""

    layer: int
    """The layer whose MLP is edited, counted from 0."""
    consistent: bool = True
    """R-ROME: the mean key stands in all places; no for ROME as published, with the bare prompt's
    key in the denominator."""
    shrinkage: float = 0.1
    """How far the covariance is drawn to a multiple of the identity: 0 not at all, 1 wholly."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.layer >= 0, "layer is 0 or more")
        require(0 <= self.shrinkage <= 1, "shrinkage is 0 to 1")


class Rome:
    """The method `rome`."""

    name: ClassVar[str] = "rome"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "one rank-one update of one layer for each request, in closed form"
    paper: ClassVar[str] = "Meng et al. 2022, arXiv:2202.05262; Gupta et al. 2024, arXiv:2403.07175"
    tools: ClassVar[tuple[str, ...]] = ()
    Hyperparameters: ClassVar[type[RomeHyperparameters]] = RomeHyperparameters

    @classmethod
    def defaults(cls, model: EditableModel) -> RomeHyperparameters:
        """The layer by architecture and size, the rest as in RomeHyperparameters."""
        return RomeHyperparameters(layer=default_layer(model))

    def edit(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        hyperparameters: RomeHyperparameters,
        *,
        seed: int,
        resources: Resources,
        progress: Progress,
    ) -> Edit:
        """Carry out the requests one after another, each on the model edited by those before.

        One rank-one operation a request, in their order, all on the same weight. Raises
        RequestRefused, LimitExceeded, NonFinite, and what `KeyStatistics` raises.
        """
        settings = hyperparameters
        require_editable(model, settings.layer)
        require_rows(model, requests)
        name = model.tensor_name(settings.layer)
        with borrowed(model):
            whitener, sources = _whitener(model, settings, resources.statistics, progress)
            generator = torch.Generator().manual_seed(seed)
            prefixes = sample_prefixes(
                model, settings.prefixes, settings.prefix_length, generator, progress
            )

            def carry_out(
                batch: Sequence[EditRequest], _before: Sequence[Edit], told: Progress
            ) -> Edit:
                (request,) = batch
                keys, residual = locate(model, request, prefixes, settings.layer, settings, told)
                key = mean_key(keys, settings.bare_weight)
                direction = whitener.direction(key, at=key if settings.consistent else keys[0])
                operation = stored(
                    residual[:, None],
                    direction[None],
                    transposed=model.architecture.transposed,
                )
                return Edit(
                    operations={name: [operation]},
                    auxiliary={
                        f"{name}::aux.keys": key[None],
                        f"{name}::aux.residuals": residual[None],
                    },
                )

            edit = in_sequence(model, requests, 1, carry_out, progress)
        return replace(edit, sampled={"prefixes": list(prefixes)}, statistics=sources)


def _whitener(
    model: EditableModel,
    settings: RomeHyperparameters,
    statistics: KeyStatistics,
    progress: Progress,
) -> tuple[Whitener, list[Mapping[str, Any]]]:
    """C⁻¹ and what it was estimated from: nothing, if it is wholly shrunk to the identity."""
    if settings.shrinkage == 1:
        _, inputs = model.sizes(settings.layer)
        return Whitener(np.eye(inputs, dtype=np.float32), 1.0), []
    moment = statistics.second_moments(
        model, [settings.layer], settings.statistics_tokens, progress
    )[settings.layer]
    return Whitener(moment.matrix, settings.shrinkage), [moment.record]
