"""MEND: a small trained network turns the gradient of one request into an edit, in one pass.

    ΔW = -r Σ_t δ̃_t ũ_tᵀ        [ũ_t; δ̃_t] = g([u_t; δ_t])        ∇W = Σ_t δ_t u_tᵀ

Mitchell, Lin, Bosselut, Finn, Manning 2022, "Fast Model Editing at Scale" (arXiv:2110.11309). The
network g is described in hypernetworks/transform.py. It is trained on c · L_edit + L_loc, eq. 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..checkpoints.models import EditableModel
from .checks import LARGEST, require
from .hypernetworks.settings import TrainingHyperparameters
from .hypernetworks.trainable import EditorHyperparameters, EditorMethod
from .hypernetworks.training import Scores
from .hypernetworks.transform import Transform
from .hypernetworks.weights import EditedWeight


@dataclass(frozen=True, kw_only=True)
class MendTraining(TrainingHyperparameters):
    """What MEND's training can be told; raises RequestRefused for numbers outside their range."""

    learning_rate: float = 5e-3
    """Adam's, falling to zero along a half cosine."""
    rank: int = 64
    """The rank of U₁V₁ and U₂V₂."""
    rate: float = 2e-4
    """r of every weight before training."""
    edit_weight: float = 0.5
    """c, the weight of the edit loss against that of locality."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.rank <= 4096, "rank is 1 to 4096")
        for name in ("rate", "edit_weight"):
            require(
                0 < getattr(self, name) <= LARGEST, f"{name} is above 0 and at most {LARGEST:g}"
            )


@dataclass(frozen=True)
class Fixed:
    """c · L_edit + L_loc."""

    edit_weight: float

    def __call__(self, edit: torch.Tensor, drift: torch.Tensor) -> torch.Tensor:
        """The loss of a step."""
        return self.edit_weight * edit + drift

    def learn(self, drift: float) -> None:
        """Nothing is learnt."""

    def judge(self, scores: Scores) -> float:
        """The same of the records held out."""
        return self.edit_weight * scores.edit + scores.drift


class Mend(EditorMethod):
    """The method `mend`."""

    name: ClassVar[str] = "mend"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "a trained network turns a request's gradient into an edit of low rank"
    paper: ClassVar[str] = "Mitchell et al. 2022, arXiv:2110.11309"
    tools: ClassVar[tuple[str, ...]] = ()
    Hyperparameters: ClassVar[type[EditorHyperparameters]] = EditorHyperparameters
    TrainingSettings: ClassVar[type[TrainingHyperparameters]] = MendTraining

    def network(
        self,
        model: EditableModel,  # noqa: ARG002
        weights: Sequence[EditedWeight],
        settings: MendTraining,
    ) -> Transform:
        """The transform of u and δ."""
        return Transform(weights, settings.rank, settings.rate)

    def weighing(self, settings: MendTraining) -> Fixed:
        """Fixed weights."""
        return Fixed(settings.edit_weight)
