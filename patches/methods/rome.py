"""ROME: one fact, one layer, one rank-one update, in closed form.

Meng, Bau, Andonian, Belinkov 2022, "Locating and Editing Factual Associations in GPT"
(arXiv:2202.05262), with the key used consistently as in R-ROME: Gupta, Baskaran, Anumanchipalli
2024, "Rebuilding ROME" (arXiv:2403.07175).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoints.models import EditableModel
from ..errors import RequestRefused
from ..operations.lowrank import LowRank
from ..progress import Progress
from ..requests import EditRequest
from .base import Edit
from .borrowing import add, borrowed
from .checks import require
from .decoder import Continuation, run_up_to
from .default_layers import default_layer
from .key_statistics import KeyStatistics
from .prefixes import sample_prefixes
from .prompts import align, tokenise
from .rank_one import Whitener
from .second_moment import captured_keys
from .value import Objective, ValueHyperparameters, find_value

_ESSENCE = "{} is a"


@dataclass(frozen=True, kw_only=True)
class RomeHyperparameters(ValueHyperparameters):
    """What ROME can be told; raises RequestRefused for numbers outside their range."""

    layer: int
    """The layer whose MLP is edited, counted from 0."""
    prefixes: int = 5
    """How many sampled texts are set before the prompt, beside the bare prompt."""
    prefix_length: int = 8
    """Tokens in each."""
    bare_weight: float = 0.5
    """Weight of the bare prompt in the mean key; the prompts with prefixes share the rest."""
    statistics_tokens: int = 6_000
    """From how many tokens the covariance of the keys is estimated."""
    shrinkage: float = 0.1
    """How far the covariance is drawn to a multiple of the identity: 0 not at all, 1 wholly."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.layer >= 0, "layer is 0 or more")
        require(0 <= self.prefixes <= 100, "prefixes is 0 to 100")
        require(1 <= self.prefix_length <= 100, "prefix_length is 1 to 100")
        require(0 < self.bare_weight <= 1, "bare_weight is above 0 and at most 1")
        require(100 <= self.statistics_tokens <= 10**7, "statistics_tokens is 100 to 10000000")
        require(0 <= self.shrinkage <= 1, "shrinkage is 0 to 1")


class Rome:
    """The method `rome`."""

    name: ClassVar[str] = "rome"
    version: ClassVar[str] = "1"
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
        statistics: KeyStatistics,
        progress: Progress,
    ) -> Edit:
        """Carry out the requests one after another, each on the model edited by those before.

        One rank-one operation a request, in their order, all on the same weight. Raises
        RequestRefused, NonFinite, and what `KeyStatistics` raises.
        """
        layer = hyperparameters.layer
        _check(model, requests, layer)
        name, weight = model.tensor_name(layer), model.weight(layer)
        with borrowed(model, [weight]):
            whitener, sources = _whitener(model, hyperparameters, statistics, progress)
            prefixes = sample_prefixes(
                model,
                hyperparameters.prefixes,
                hyperparameters.prefix_length,
                torch.Generator().manual_seed(seed),
                progress,
            )
            found: list[_Found] = []
            for number, request in enumerate(requests, 1):
                told = _numbered(progress, number, len(requests))
                key, residual = _locate(model, request, prefixes, hyperparameters, told)
                operation = _operation(model, residual, whitener.direction(key))
                add(weight, operation)
                found.append(_Found(key, residual, operation))
        return Edit(
            operations={name: [each.operation for each in found]},
            auxiliary={
                f"{name}::aux.keys": np.stack([each.key for each in found]),
                f"{name}::aux.residuals": np.stack([each.residual for each in found]),
            },
            sampled={"prefixes": list(prefixes)},
            statistics=sources,
        )


class _Found(NamedTuple):
    key: NDArray[np.float32]
    residual: NDArray[np.float32]
    operation: LowRank


def _check(model: EditableModel, requests: Sequence[EditRequest], layer: int) -> None:
    if not requests:
        raise RequestRefused("there is no request to carry out")
    if layer >= model.layer_count - 1:
        raise RequestRefused(
            f"layer {layer} cannot be edited",
            why=f"the model has {model.layer_count}, counted from 0, and only attention above a "
            "layer carries on what the subject is given there",
            hint=f"set layer to {model.layer_count - 2} or less",
        )


def _whitener(
    model: EditableModel,
    settings: RomeHyperparameters,
    statistics: KeyStatistics,
    progress: Progress,
) -> tuple[Whitener, list[Mapping[str, Any]]]:
    """C⁻¹ and what it was estimated from: nothing, if it is wholly shrunk to the identity."""
    if settings.shrinkage == 1:
        rows, columns = model.weight(settings.layer).shape
        size = rows if model.architecture.transposed else columns
        return Whitener(np.eye(size, dtype=np.float32), 1.0), []
    moment = statistics.second_moments(
        model, [settings.layer], settings.statistics_tokens, progress
    )[settings.layer]
    return Whitener(moment.matrix, settings.shrinkage), [moment.record]


def _operation(
    model: EditableModel, residual: NDArray[np.float32], direction: NDArray[np.float64]
) -> LowRank:
    """Their outer product, the way round that the checkpoint stores the weight."""
    if model.architecture.transposed:
        return LowRank.snapped(direction[:, None], residual[None, :])
    return LowRank.snapped(residual[:, None], direction[None, :])


def _locate(
    model: EditableModel,
    request: EditRequest,
    prefixes: Sequence[str],
    settings: RomeHyperparameters,
    progress: Progress,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The key k* [in] (eq. 3) and the residual δ = v* - Wk* [out] (eq. 4)."""
    progress("key", 0, 1)
    rows = [
        tokenise(model, request.prompt, request.subject, prefix=prefix, target=request.target)
        for prefix in ("", *prefixes)
    ]
    rows.append(tokenise(model, _ESSENCE, request.subject))
    batch = align(rows, model.device)
    with torch.no_grad(), captured_keys(model, [settings.layer]) as captured:
        states = run_up_to(model, settings.layer, batch.ids, batch.mask, batch.positions)
        found = captured[settings.layer][:-1, batch.subject]
        scale = model.projection(settings.layer)(found[:1]).norm().item()
    tail = Continuation(model, settings.layer, batch, states)
    objective = Objective(model, tail, rows, batch, scale, settings)
    progress("key", 1, 1)
    delta = find_value(objective, settings, progress)
    key = _mean_key(found.cpu().numpy(), settings.bare_weight)
    return key, delta.cpu().numpy()


def _mean_key(keys: NDArray[np.float32], bare_weight: float) -> NDArray[np.float32]:
    """k* from keys [1 + prefixes, in], of which the first is the bare prompt's.

    A subject with nothing before it can have a key quite unlike the others, and a mean in which all
    count alike would miss the very prompt that the request is about.
    """
    mean = keys[1:].mean(axis=0, dtype=np.float64) if len(keys) > 1 else keys[0]
    weighted: NDArray[np.float64] = bare_weight * keys[0] + (1 - bare_weight) * mean
    return weighted.astype(np.float32)


def _numbered(progress: Progress, number: int, count: int) -> Progress:
    if count == 1:
        return progress
    return lambda phase, done, total: progress(f"{phase} {number} of {count}", done, total)
