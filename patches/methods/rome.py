"""ROME: one fact, one layer, one rank-one update, in closed form.

Meng, Bau, Andonian, Belinkov 2022, "Locating and Editing Factual Associations in GPT"
(arXiv:2202.05262), with the key used consistently as in R-ROME: Gupta, Baskaran, Anumanchipalli 2024,
"Rebuilding ROME" (arXiv:2403.07175).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import RequestRefused
from ..models import EditableModel
from ..operations.lowrank import LowRank
from ..progress import Progress
from ..requests import EditRequest
from .base import Edit
from .decoder import Continuation, run_up_to
from .key_statistics import KeyStatistics
from .live import add, borrowed
from .prefixes import sample_prefixes
from .prompts import align, tokenise
from .rank_one import Whitener
from .second_moment import captured_keys
from .value import Objective, find_value

_ESSENCE = "{} is a"


@dataclass(frozen=True)
class RomeHyperparameters:
    """What ROME can be told; raises RequestRefused for values outside their range."""

    layer: int
    """The layer whose MLP is edited, counted from 0."""
    prefixes: int = 5
    """How many sampled texts are set before the prompt, beside the bare prompt."""
    prefix_length: int = 8
    """Tokens in each."""
    steps: int = 20
    """Adam steps, at most."""
    learning_rate: float = 0.5
    loss_threshold: float = 0.05
    """The search ends when the loss is below this."""
    kl_factor: float = 0.0625
    """Weight of the drift of "{subject} is a"."""
    weight_decay: float = 1e-3
    """Weight of (‖δ‖/‖v‖)²."""
    clamp: float = 4.0
    """‖δ‖ stays below this times ‖v‖."""
    statistics_tokens: int = 8_000
    """From how many tokens the covariance of the keys is estimated."""
    shrinkage: float = 0.1
    """How far the covariance is drawn towards a multiple of the identity: 0 not at all, 1 wholly."""

    def __post_init__(self) -> None:
        _require(self.layer >= 0, "layer must not be negative")
        _require(0 <= self.prefixes <= 100, "prefixes must be 0 to 100")
        _require(1 <= self.prefix_length <= 100, "prefix_length must be 1 to 100")
        _require(1 <= self.steps <= 1000, "steps must be 1 to 1000")
        _require(0 < self.learning_rate < np.inf, "learning_rate must be above 0")
        for name in ("loss_threshold", "kl_factor", "weight_decay"):
            _require(0 <= getattr(self, name) < np.inf, f"{name} must be 0 or more")
        _require(0 < self.clamp < np.inf, "clamp must be above 0")
        _require(100 <= self.statistics_tokens <= 10**7, "statistics_tokens must be 100 to 10000000")
        _require(0 <= self.shrinkage <= 1, "shrinkage must be 0 to 1")


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise RequestRefused(f"a hyperparameter of rome is out of range: {rule}")


class Rome:
    """The method `rome`."""

    name: ClassVar[str] = "rome"
    version: ClassVar[str] = "1"
    Hyperparameters: ClassVar[type[RomeHyperparameters]] = RomeHyperparameters

    @classmethod
    def defaults(cls, model: EditableModel) -> RomeHyperparameters:
        """The layer by architecture and size, the rest as in RomeHyperparameters."""
        return RomeHyperparameters(layer=4)

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
        settings = hyperparameters
        if not requests:
            raise RequestRefused("there is no request to carry out")
        if settings.layer >= model.layer_count - 1:
            raise RequestRefused(
                f"layer {settings.layer} cannot be edited",
                why=f"the model has {model.layer_count}, counted from 0, and the last has no "
                "attention above it to carry what it adds",
            )
        name, weight = model.tensor_name(settings.layer), model.weight(settings.layer)
        operations: list[LowRank] = []
        keys: list[NDArray[np.float32]] = []
        residuals: list[NDArray[np.float32]] = []
        with borrowed(model, [weight]):
            moment = statistics.second_moments(
                model, [settings.layer], settings.statistics_tokens, progress
            )[settings.layer]
            generator = torch.Generator().manual_seed(seed)
            prefixes = sample_prefixes(
                model, settings.prefixes, settings.prefix_length, generator, progress
            )
            whitener = Whitener(moment.matrix, settings.shrinkage)
            for number, request in enumerate(requests, 1):
                told = _numbered(progress, number, len(requests))
                key, residual = _locate(model, request, prefixes, settings, told)
                told("update", 0, 1)
                row = whitener.direction(key)
                a, b = (row, residual) if model.architecture.transposed else (residual, row)
                operation = LowRank.snapped(a[:, None], b[None, :])
                add(weight, operation)
                told("update", 1, 1)
                operations.append(operation)
                keys.append(key)
                residuals.append(residual)
        return Edit(
            operations={name: operations},
            auxiliary={
                f"{name}::aux.keys": np.stack(keys),
                f"{name}::aux.residuals": np.stack(residuals),
            },
            sampled={"prefixes": list(prefixes)},
            statistics=[moment.record],
        )


def _locate(
    model: EditableModel,
    request: EditRequest,
    prefixes: Sequence[str],
    settings: RomeHyperparameters,
    progress: Progress,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The key k* [in] (eq. 3) and the residual δ = v* − Wk* [out] (eq. 4)."""
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
    delta = find_value(objective, states.shape[-1], settings, model.device, progress)
    key = found.double().mean(0).float()
    return key.cpu().numpy(), delta.cpu().numpy()


def _numbered(progress: Progress, number: int, count: int) -> Progress:
    if count == 1:
        return progress
    return lambda phase, done, total: progress(f"{phase} {number} of {count}", done, total)
