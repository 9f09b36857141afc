"""Which weights a trained editor edits: the MLP projections of the top layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...checkpoints.models import EditableModel
from ...errors import NonFinite, RequestRefused
from ...operations.lowrank import LowRank
from ..factors import stored_sum


@dataclass(frozen=True)
class EditedWeight:
    """One projection [out, in]: its module in the live model, its name in the checkpoint.

    `transposed` says that it is stored [in, out].
    """

    module: str
    tensor: str
    layer: int
    out_size: int
    in_size: int
    transposed: bool

    def operations(self, left: torch.Tensor, right: torch.Tensor) -> list[LowRank]:
        """Σ_t left_t right_tᵀ for left [t, out] and right [t, in], stored as the weight is.

        More than 512 terms make several operations. Raises NonFinite.
        """
        if not (torch.isfinite(left).all() and torch.isfinite(right).all()):
            raise NonFinite(
                f"the editor gives NaN or infinity for {self.tensor}",
                hint="train it again with a smaller learning_rate",
            )
        return stored_sum(left.cpu().numpy(), right.cpu().numpy(), transposed=self.transposed)


def edited_weights(model: EditableModel, layers: int) -> tuple[EditedWeight, ...]:
    """The MLP projections of the top `layers` layers, from below; raises RequestRefused.

    Mitchell et al. 2022, section 4: those of the last three layers.
    """
    count = model.layer_count
    if not 1 <= layers <= count:
        raise RequestRefused(
            f"an editor of {layers} layers cannot edit a model of {count}",
            hint=f"set layers to {count} or less",
        )
    return tuple(
        _weight(model, layer, path)
        for layer in range(count - layers, count)
        for path in _paths(model)
    )


def _paths(model: EditableModel) -> Sequence[str]:
    """Paths from a layer to the projections; the MLP's output at least, which all have."""
    named = [
        name.removesuffix(".weight")
        for name in model.architecture.inner_axes
        if name.endswith(".weight")
    ]
    return named or [model.architecture.mlp_output]


def _weight(model: EditableModel, layer: int, path: str) -> EditedWeight:
    architecture = model.architecture
    module = f"{architecture.backbone}.{architecture.layers}.{layer}.{path}"
    name = f"{module}.weight"
    rows, columns = model.model.get_parameter(name).shape
    if architecture.transposed:
        rows, columns = columns, rows
    return EditedWeight(
        module=module,
        tensor=model.stored_name(module),
        layer=layer,
        out_size=rows,
        in_size=columns,
        transposed=architecture.transposed,
    )
