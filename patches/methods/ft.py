"""FT: fine-tuning of one MLP's output projection on the requests alone.

    W' = W + ΔW        ΔW = argmin mean of -log P[o* | p], ‖ΔW‖∞ ≤ ε

FT-L: Zhu et al. 2020, "Modifying Memories in Transformer Models" (arXiv:2012.00363), with the norm
constraint and one layer as in Meng et al. 2022 (arXiv:2202.05262), FT+L. FT-M, with the loss on the
target alone under teacher forcing: Zhang et al. 2024 (arXiv:2401.01286).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..arithmetic.grid import MAX_RANK
from ..checkpoints.models import EditableModel
from ..errors import RequestRefused
from ..operations.base import Operation
from ..operations.dense import Dense
from ..progress import Progress
from ..requests import EditRequest
from .base import Edit, Resources
from .checks import LARGEST, require
from .factors import stored
from .locating.default_layers import default_layer
from .sequence import in_sequence
from .tuning.above import Above
from .tuning.answers import Objective, answers
from .tuning.descent import DescentHyperparameters, descend
from .tuning.truncation import truncated


@dataclass(frozen=True, kw_only=True)
class FineTuningHyperparameters(DescentHyperparameters):
    """What FT can be told; raises RequestRefused for numbers outside their range."""

    layer: int
    """The layer whose MLP is edited, counted from 0."""
    objective: Objective = "target"
    """target: each token of the target after those before it (FT-M); last: all of them at the
    prompt's last token (FT-L)."""
    norm_constraint: float | None = None
    """ε: no entry of W moves further than this; none for no bound."""
    rank: int | None = 8
    """The delta is cut to this rank for each request of a batch, at most 512 in all; none for a
    dense delta."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.layer >= 0, "layer is 0 or more")
        bound = self.norm_constraint
        require(
            bound is None or 0 < bound <= LARGEST,
            f"norm_constraint is above 0 and at most {LARGEST:g}, or none",
        )
        require(self.rank is None or 1 <= self.rank <= MAX_RANK, f"rank is 1 to {MAX_RANK}")


class FineTuning:
    """The method `ft`."""

    name: ClassVar[str] = "ft"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "fine-tuning of one layer's MLP on the requests, by gradient descent"
    paper: ClassVar[str] = "Zhu et al. 2020, arXiv:2012.00363; Zhang et al. 2024, arXiv:2401.01286"
    tools: ClassVar[tuple[str, ...]] = ()
    Hyperparameters: ClassVar[type[FineTuningHyperparameters]] = FineTuningHyperparameters

    @classmethod
    def defaults(cls, model: EditableModel) -> FineTuningHyperparameters:
        """The layer by architecture and size, the rest as in FineTuningHyperparameters."""
        return FineTuningHyperparameters(layer=default_layer(model))

    def edit(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        hyperparameters: FineTuningHyperparameters,
        *,
        seed: int,  # noqa: ARG002 - nothing is drawn
        resources: Resources,  # noqa: ARG002 - nothing else is needed
        progress: Progress,
    ) -> Edit:
        """Train on the requests in batches, each on the result of those before.

        One operation a batch. What is cut off by `rank` is gone before the next batch begins; its
        relative norm is kept, one number a batch. Raises RequestRefused, LimitExceeded, NonFinite.
        """
        settings = hyperparameters
        _require_layer(model, settings.layer)
        name = model.tensor_name(settings.layer)
        errors: list[float] = []

        def carry_out(
            batch: Sequence[EditRequest], _before: Sequence[Edit], told: Progress
        ) -> Edit:
            delta = train(model, batch, settings, told)
            rank = settings.rank and min(MAX_RANK, settings.rank * len(batch))
            operation, error = _operation(delta, rank, model.architecture.transposed)
            errors.append(error)
            return Edit(operations={name: [operation]})

        edit = in_sequence(model, requests, settings.batch_size, carry_out, progress)
        return replace(edit, sampled={} if settings.rank is None else {"truncation": errors})


def train(
    model: EditableModel,
    requests: Sequence[EditRequest],
    settings: FineTuningHyperparameters,
    progress: Progress,
) -> NDArray[np.float32]:
    """ΔW [out, in] as the descent leaves it, of full rank; raises as `edit` does."""
    blocks = answers(model, requests, settings.objective)
    delta = torch.zeros(model.sizes(settings.layer), device=model.device, requires_grad=True)

    def loss_of(index: int) -> Callable[[], torch.Tensor]:
        block = blocks[index]
        above = Above(model, settings.layer, block.ids)
        return lambda: block.loss(model, above(delta))

    def constrain() -> None:
        if settings.norm_constraint is not None:
            delta.clamp_(-settings.norm_constraint, settings.norm_constraint)

    losses = [loss_of(index) for index in range(len(blocks))]
    descend([delta], losses, settings, progress, constrain=constrain)
    found: NDArray[np.float32] = delta.detach().cpu().numpy()
    return found


def _operation(
    delta: NDArray[np.float32], rank: int | None, transposed: bool
) -> tuple[Operation, float]:
    """Δ as the checkpoint stores the weight, and the relative error of having cut its rank."""
    if rank is None:
        turned = delta.T if transposed else delta
        return Dense(np.ascontiguousarray(turned, dtype="<f4")), 0.0
    a, b, error = truncated(delta, rank)
    return stored(a, b, transposed=transposed), error


def _require_layer(model: EditableModel, layer: int) -> None:
    if layer >= model.layer_count:
        raise RequestRefused(
            f"there is no layer {layer}",
            why=f"the model has {model.layer_count}, counted from 0",
            hint=f"set layer to {model.layer_count - 1} or less",
        )
