"""Find what an MLP should add at the subject's last token for the model to answer with the target.

Meng et al. 2022 (arXiv:2202.05262), eq. 4: v* = v + δ, where δ minimises

    1/N Σ_j −log P[o* | x_j + p] + λ · D_KL( P_edited[· | p'] ‖ P[· | p'] )

over the prompt p after each prefix x_j, with p' = "{subject} is a" keeping the subject what it is.
Added to that is weight decay μ · (‖δ‖/‖v‖)², and ‖δ‖ is held to c·‖v‖.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from ..errors import NonFinite
from ..models import EditableModel
from .decoder import Continuation
from .prompts import Aligned, Row


class ValueSettings(Protocol):
    """What the search needs to know; the symbols are those of the module's formula."""

    steps: int
    learning_rate: float
    kl_factor: float
    weight_decay: float
    clamp: float
    enough: float


@dataclass(frozen=True)
class Loss:
    """The three terms, each a scalar tensor, unweighted but for the last."""

    target: torch.Tensor
    drift: torch.Tensor
    decay: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Their sum."""
        return self.target + self.drift + self.decay


class Objective:
    """The loss as a function of δ.

    `rows` are the prompts with their targets, then one row for p'. `scale` is ‖v‖.
    """

    def __init__(
        self,
        model: EditableModel,
        tail: Continuation,
        batch: Aligned,
        rows: Sequence[Row],
        targets: Sequence[Sequence[int]],
        scale: float,
        settings: ValueSettings,
    ) -> None:
        ...
