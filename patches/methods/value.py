"""Find what an MLP should add at the subject's last token for the model to answer with the target.

Meng et al. 2022 (arXiv:2202.05262), eq. 4: v* = v + δ, where δ minimises

    1/N Σ_j −log P[o* | x_j + p] + λ · D_KL( P_edited[· | p'] ‖ P[· | p'] )

over the prompt p after each prefix x_j, with p' = "{subject} is a" keeping the subject what it is.
Added to that is weight decay μ · (‖δ‖/‖v‖)², and ‖δ‖ is held to c·‖v‖.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from ..errors import NonFinite
from ..models import EditableModel
from ..progress import Progress
from .decoder import Continuation
from .prompts import Batch, Row


class ValueSettings(Protocol):
    """How the search goes; the symbols are those of the formula above."""

    steps: int
    learning_rate: float
    kl_factor: float
    """λ"""
    weight_decay: float
    """μ"""
    clamp: float
    """c"""
    loss_threshold: float
    """The search ends when the first term is below this."""


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
        settings: ValueSettings,
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

    def _log_probabilities(self, last: torch.Tensor) -> torch.Tensor:
        """[places, vocabulary]"""
        logits: torch.Tensor = self._model.head(last[self._rows, self._columns])
        return logits.log_softmax(-1)


def find_value(
    objective: Objective, size: int, settings: ValueSettings, device: torch.device, progress: Progress
) -> torch.Tensor:
    """δ [size], by Adam from 0; raises NonFinite if the search diverges."""
    delta = torch.zeros(size, device=device, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=settings.learning_rate)
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
            delta *= min(1.0, limit / max(delta.norm().item(), 1e-30))
    progress("value", settings.steps, settings.steps)
    return delta.detach()
