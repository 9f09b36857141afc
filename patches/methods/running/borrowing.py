"""Borrow a live model: work on it, and leave it bit for bit as it was."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from ...checkpoints.models import EditableModel
from ...operations.base import Addend

Keep = Callable[[nn.Parameter], None]
"""Called with a weight before it is changed for the first time."""


@contextmanager
def borrowed(model: EditableModel, weights: Sequence[nn.Parameter] = ()) -> Iterator[Keep]:
    """While open, no weight asks for gradients and `weights` may be changed; all is put back.

    Further weights may be changed once they were given to the function that the block receives.
    That holds for exceptions too, KeyboardInterrupt among them.
    """
    gradients = [parameter for parameter in model.model.parameters() if parameter.requires_grad]
    training = [module for module in model.model.modules() if module.training]
    copies: dict[nn.Parameter, torch.Tensor] = {}

    def keep(weight: nn.Parameter) -> None:
        if weight not in copies:
            copies[weight] = weight.detach().clone()

    try:
        model.model.requires_grad_(False)
        for module in training:
            module.training = False
        for weight in weights:
            keep(weight)
        yield keep
    finally:
        with torch.no_grad():
            for weight, copied in copies.items():
                weight.copy_(copied)
        for parameter in gradients:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True


@torch.no_grad()
def add(weight: nn.Parameter, operation: Addend) -> None:
    """Add an operation to a live weight of the same shape, in float64, rounded to its own type."""
    delta = torch.from_numpy(operation.rows(0, operation.shape[0]))
    weight.copy_(weight.double() + delta.to(weight.device).view_as(weight))
