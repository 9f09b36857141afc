"""Adam on the mean loss of the requests, until it is small."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import torch

from ...errors import NonFinite
from ...progress import Progress
from ..checks import LARGEST, require

Loss = Callable[[], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class DescentHyperparameters:
    """How weights are trained; raises RequestRefused for numbers outside their range."""

    steps: int = 25
    """Adam steps, at most."""
    learning_rate: float = 1e-3
    """Of Adam."""
    loss_threshold: float = 0.1
    """The training ends when the mean loss is below this."""
    weight_decay: float = 0.0
    """How strongly what is trained is drawn back to where it began, as a share of it in each
    gradient."""
    batch_size: int = 0
    """How many requests are trained on together, each batch on the result of those before; 0 for
    all."""

    def __post_init__(self) -> None:
        require(1 <= self.steps <= 10_000, "steps is 1 to 10000")
        require(0 < self.learning_rate <= 1000, "learning_rate is above 0 and at most 1000")
        for name in ("loss_threshold", "weight_decay"):
            require(0 <= getattr(self, name) <= LARGEST, f"{name} is 0 to {LARGEST:g}")
        require(0 <= self.batch_size <= 10**6, "batch_size is 0 to 1000000")


def descend(
    parameters: Sequence[torch.Tensor],
    losses: Sequence[Loss],
    settings: DescentHyperparameters,
    progress: Progress,
    *,
    constrain: Callable[[], None] | None = None,
) -> None:
    """Train `parameters`, leaves that ask for gradients, on the sum of the losses, in place.

    `constrain` is called after each step. Each loss is differentiated by itself, so that only one
    graph is held at a time. Raises NonFinite if the loss is no number any more.
    """
    adam = torch.optim.Adam(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    for step in range(settings.steps):
        progress("training", step, settings.steps)
        if _gradients(parameters, losses) < settings.loss_threshold:
            break
        adam.step()
        if constrain is not None:
            with torch.no_grad():
                constrain()
    progress("training", settings.steps, settings.steps)


def _gradients(parameters: Sequence[torch.Tensor], losses: Sequence[Loss]) -> float:
    """Set every parameter's gradient; gives the sum of the losses."""
    total = 0.0
    for parameter in parameters:
        parameter.grad = None
    for loss in losses:
        value = loss()
        value.backward(inputs=list(parameters))  # type: ignore[no-untyped-call]
        total += value.item()
    if not total < inf:
        raise NonFinite(
            "the training has diverged",
            why=f"the loss is {total}",
            hint="set a smaller learning_rate, or another layer",
        )
    return total
