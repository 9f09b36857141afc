"""What every network is that makes an edit of a gradient."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from ...checkpoints.models import EditableModel
from ...requests import EditRequest
from .tail import Change, Gradient


class EditorNetwork(nn.Module, ABC):
    """Shapes alone when it is made on the meta device; `initialise` gives it numbers."""

    @abstractmethod
    def initialise(self, generator: torch.Generator) -> None:
        """Fill every parameter and buffer, in place; what an edit is then, each network says."""

    @abstractmethod
    def changes(
        self, model: EditableModel, gradients: Sequence[Gradient], requests: Sequence[EditRequest]
    ) -> list[Change]:
        """ΔW of each weight for each request, of its gradients; differentiable."""

    def measure(self, batches: Sequence[Sequence[Gradient]]) -> None:
        """Take in the gradients of all that it will be trained on; by default nothing."""
