"""KE: a network reads the request and says how its gradient becomes an edit.

    ΔW = -sigmoid(η) (Â ⊙ ∇W + B̂)        Â = softmax(a) gᵀ        B̂ = softmax(b) dᵀ

De Cao, Aziz, Titov 2021, "Editing Factual Knowledge in Language Models" (arXiv:2104.08164); the
network is described in hypernetworks/conditioner.py. It is trained on the paper's constrained
objective: the least L_edit with KL(base ‖ edited) ≤ m, by its Lagrangian L_edit + λ (KL - m), λ ≥ 0
rising and falling with the constraint's violation; m stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch

from ..checkpoints.models import EditableModel
from .checks import LARGEST, require
from .hypernetworks.conditioner import Conditioner
from .hypernetworks.settings import TrainingHyperparameters
from .hypernetworks.trainable import EditorHyperparameters, EditorMethod
from .hypernetworks.training import Scores
from .hypernetworks.weights import EditedWeight

_VIOLATION = 10.0


@dataclass(frozen=True, kw_only=True)
class KnowledgeEditorTraining(TrainingHyperparameters):
    """What KE's training can be told; raises RequestRefused for numbers outside their range."""

    width: int = 64
    """The size of the encoder's states, in each direction, and of the layer above it."""
    rate: float = 0.01
    """sigmoid(η) Â before training, everywhere."""
    margin: float = 0.05
    """m, how far neighbours may drift, as a mean of KL(base ‖ edited)."""
    multiplier: float = 1.0
    """λ at first."""
    multiplier_rate: float = 0.2
    """How fast λ rises with what is above the margin, and falls with what is below."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.width <= 4096, "width is 1 to 4096")
        for name in ("rate", "margin"):
            require(
                0 < getattr(self, name) <= LARGEST, f"{name} is above 0 and at most {LARGEST:g}"
            )
        for name in ("multiplier", "multiplier_rate"):
            require(0 <= getattr(self, name) <= LARGEST, f"{name} is 0 to {LARGEST:g}")


class Lagrangian:
    """L_edit + λ (KL - m), with λ ← max(0, λ + rate · (KL - m)) after each step."""

    def __init__(self, margin: float, multiplier: float, rate: float) -> None:
        self.multiplier = multiplier
        self._margin, self._rate = margin, rate

    def __call__(self, edit: torch.Tensor, drift: torch.Tensor) -> torch.Tensor:
        """The loss of a step."""
        return edit + self.multiplier * (drift - self._margin)

    def learn(self, drift: float) -> None:
        """Let λ follow the constraint."""
        self.multiplier = max(0.0, self.multiplier + self._rate * (drift - self._margin))

    def judge(self, scores: Scores) -> float:
        """The edit loss, and a price for what is above the margin that does not change."""
        return scores.edit + _VIOLATION * max(0.0, scores.drift - self._margin)


class KnowledgeEditor(EditorMethod):
    """The method `ke`."""

    name: ClassVar[str] = "ke"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "a trained network reads the request and gates its gradient"
    paper: ClassVar[str] = "De Cao et al. 2021, arXiv:2104.08164"
    tools: ClassVar[tuple[str, ...]] = ()
    Hyperparameters: ClassVar[type[EditorHyperparameters]] = EditorHyperparameters
    TrainingSettings: ClassVar[type[TrainingHyperparameters]] = KnowledgeEditorTraining

    def network(
        self,
        model: EditableModel,
        weights: Sequence[EditedWeight],
        settings: KnowledgeEditorTraining,
    ) -> Conditioner:
        """The encoder and what it conditions."""
        embeddings = cast("torch.Tensor", model.model.get_input_embeddings().weight)
        return Conditioner(weights, embeddings.shape[1], settings.width, settings.rate)

    def weighing(self, settings: KnowledgeEditorTraining) -> Lagrangian:
        """The constraint's Lagrangian."""
        return Lagrangian(settings.margin, settings.multiplier, settings.multiplier_rate)
