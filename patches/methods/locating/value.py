"""Find what an MLP should add at the subject's last token for the model to answer with the target.

Meng et al. 2022 (arXiv:2202.05262), eq. 4: v* = v + δ, where δ minimises

    1/N Σ_j -log P[o* | x_j + p] + λ · D_KL( P_edited[· | p'] ‖ P[· | p'] )

over the prompt p after each prefix x_j, with p' = "{subject} is a" keeping the subject what it is.
Added to that is weight decay μ · (‖δ‖/‖v‖)², and ‖δ‖ is held to c · ‖v‖.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...checkpoints.models import EditableModel
from ...errors import NonFinite
from ...progress import Progress
from ..checks import LARGEST, require
from ..running.decoder import Continuation
from ..running.prompts import Batch, Row


@dataclass(frozen=True, kw_only=True)
class ValueHyperparameters:
    """How the value is searched for; raises RequestRefused for numbers outside their range."""

    steps: int = 20
    """Adam steps, at most."""
    learning_rate: float = 0.5
    """Of Adam."""
    momentum: float = 0.7
    """Adam's β₁; below the usual 0.9, as a search of a dozen steps has little past to go by."""
    loss_threshold: float = 0.05
    """The search ends when the mean of -log P[o*] is below this."""
    kl_factor: float = 0.0625
    """λ, the weight of what changes about the subject's essence."""
    weight_decay: float = 1e-3
    """μ, the weight of (‖δ‖/‖v‖)²."""
    clamp: float = 4.0
    """c, the largest ‖δ‖/‖v‖."""

    def __post_init__(self) -> None:
        require(1 <= self.steps <= 1000, "steps is 1 to 1000")
        require(0 < self.learning_rate <= 1000, "learning_rate is above 0 and at most 1000")
        require(0 < self.clamp <= LARGEST, f"clamp is above 0 and at most {LARGEST:g}")
        require(0 <= self.momentum < 1, "momentum is 0 or more and below 1")
        for name in ("loss_threshold", "kl_factor", "weight_decay"):
            require(0 <= getattr(self, name) <= LARGEST, f"{name} is 0 to {LARGEST:g}")


@dataclass(frozen=True)
class Loss:
    """The terms of the loss, each a scalar tensor with its weight in it."""

    target: torch.Tensor
    drift: torch.Tensor
    decay: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Their sum."""
        return self.target + self.drift + self.decay


class Objective:
    """The loss as a function of δ, for rows whose last is p' and whose others end in the target.

    `scale` is ‖v‖. Logits are computed where a term needs them, and nowhere else.
    """

    def __init__(
        self,
        model: EditableModel,
        tail: Continuation,
        rows: Sequence[Row],
        batch: Batch,
        scale: float,
        settings: ValueHyperparameters,
    ) -> None:
        self.scale = scale
        self._model, self._tail, self._settings = model, tail, settings
        places: list[tuple[int, int]] = []
        tokens: list[int] = []
        weights: list[float] = []
        for index, row in enumerate(rows[:-1]):
            before = batch.shift[index] + len(row.ids) - 1 - batch.subject
            places += [(index, before + offset) for offset in range(len(row.target))]
            tokens += row.target
            weights += [1 / (len(row.target) * (len(rows) - 1))] * len(row.target)
        essence = rows[-1]
        places.append((len(rows) - 1, len(essence.ids) - 1 - essence.subject))
        self._rows, self._columns = torch.tensor(places, device=model.device).T
        self._tokens = torch.tensor(tokens, device=model.device)
        self._weights = torch.tensor(weights, device=model.device)
        with torch.no_grad():
            self._before = self._log_probabilities(tail.base)[-1]

    def __call__(self, delta: torch.Tensor) -> Loss:
        """The loss at δ [hidden]; differentiable."""
        found = self._log_probabilities(self._tail(delta))
        now = found[-1]
        nll = -found[:-1].gather(1, self._tokens[:, None])[:, 0]
        return Loss(
            target=(nll * self._weights).sum(),
            drift=self._settings.kl_factor * (now.exp() * (now - self._before)).sum(),
            decay=self._settings.weight_decay * (delta @ delta) / self.scale**2,
        )

    def start(self) -> torch.Tensor:
        """δ = 0."""
        return torch.zeros_like(self._tail.base[0, 0])

    def _log_probabilities(self, last: torch.Tensor) -> torch.Tensor:
        """[places, vocabulary]."""
        logits: torch.Tensor = self._model.head(last[self._rows, self._columns])
        return logits.log_softmax(-1)


def find_value(
    objective: Objective, settings: ValueHyperparameters, progress: Progress
) -> torch.Tensor:
    """δ [hidden], by Adam from 0; raises NonFinite if the search diverges."""
    delta = objective.start().requires_grad_()
    betas = (settings.momentum, 0.999)
    adam = torch.optim.Adam([delta], lr=settings.learning_rate, betas=betas)
    limit = settings.clamp * objective.scale
    for step in range(settings.steps):
        progress("value", step, settings.steps)
        loss = objective(delta)
        if not torch.isfinite(loss.total):
            raise NonFinite(
                "the search for the new value has diverged",
                hint="set a smaller learning_rate, or another layer",
            )
        if loss.target.item() < settings.loss_threshold:
            break
        (delta.grad,) = torch.autograd.grad(loss.total, delta)
        adam.step()
        with torch.no_grad():
            norm = delta.norm().item()
            if norm > limit:
                delta *= limit / norm
    progress("value", settings.steps, settings.steps)
    return delta.detach()
