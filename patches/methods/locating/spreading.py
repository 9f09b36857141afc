"""Carry out several requests at once, each layer of a range bringing a part of what they ask for.

Meng et al. 2023, "Mass-Editing Memory in a Transformer" (arXiv:2210.07229), algorithm 1. The state
of the last layer is to become z = h + δ at the subject of each request (eq. 16). With the layers
below edited already, each of the m layers that are left adds its share R = (z - h) / m (eq. 20) at
the keys that it has by now. How a layer's weight is solved for keys and residuals is left to the
method.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ...checkpoints.models import EditableModel
from ...errors import RequestRefused
from ...progress import Progress, numbered
from ...requests import EditRequest
from ..base import Edit, Resources
from ..checks import require
from ..factors import stored_sum
from ..running.borrowing import add, borrowed
from ..running.prefixes import sample_prefixes
from ..running.prompts import require_rows
from ..sequence import in_sequence
from ..statistics.key_statistics import SecondMoment
from .hyperparameters import LocateHyperparameters
from .locate import locate, require_editable
from .measuring import measured

if TYPE_CHECKING:
    from ...operations.lowrank import LowRank

Solve = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float64]]
"""B [N, in] of a layer's update R·B, given the keys of a batch [in, N] and those of the batches
before it [in, count]."""


@dataclass(frozen=True, kw_only=True)
class SpreadHyperparameters(LocateHyperparameters):
    """What the methods that spread edits can be told; raises RequestRefused out of range."""

    layers: tuple[int, ...]
    """The layers whose MLPs are edited, counted from 0, lowest first."""
    batch_size: int = 0
    """How many requests are solved together; 0 for all. Batches are carried out in sequence."""
    weight_decay: float = 1e-3
    """μ, the weight of (‖δ‖/‖h‖)²."""
    clamp: float = 4.0
    """c, the largest ‖δ‖/‖h‖."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= len(self.layers) <= 100, "layers are 1 to 100")
        require(self.layers[0] >= 0, "layers are 0 or more")
        require(
            all(low < high for low, high in zip(self.layers, self.layers[1:], strict=False)),
            "layers are in increasing order, each once",
        )
        require(0 <= self.batch_size <= 10**6, "batch_size is 0 to 1000000")


def spread(
    model: EditableModel,
    requests: Sequence[EditRequest],
    settings: SpreadHyperparameters,
    solver: Callable[[SecondMoment], Solve],
    *,
    seed: int,
    resources: Resources,
    progress: Progress,
) -> Edit:
    """Carry out the requests in batches, each on the model edited by those before.

    Each layer gets an operation a batch, of the rank of its number of requests, or several of at
    most MAX_RANK; its keys [N, in] and residuals [N, hidden] are kept as auxiliary arrays. `solver`
    is called once a layer, with what text says about its keys. The model is bit for bit as it was
    afterwards. Raises RequestRefused, LimitExceeded, NonFinite, and what `KeyStatistics` raises.
    """
    _require_room(model, settings, requests)
    with borrowed(model):
        moments = resources.statistics.second_moments(
            model, settings.layers, settings.statistics_tokens, progress
        )
        solves = {layer: solver(moment) for layer, moment in moments.items()}
        generator = torch.Generator().manual_seed(seed)
        prefixes = sample_prefixes(
            model, settings.prefixes, settings.prefix_length, generator, progress
        )

        def carry_out(batch: Sequence[EditRequest], before: Sequence[Edit], told: Progress) -> Edit:
            return _together(model, batch, before, prefixes, settings, solves, told)

        edit = in_sequence(model, requests, settings.batch_size, carry_out, progress)
    records = [moment.record for moment in moments.values()]
    return replace(edit, sampled={"prefixes": list(prefixes)}, statistics=records)


def _require_room(
    model: EditableModel, settings: SpreadHyperparameters, requests: Sequence[EditRequest]
) -> None:
    """Raise InputError unless the layers can be edited, and prompts and a batch fit them."""
    require_editable(model, settings.layers[-1], field="layers")
    require_rows(model, requests)
    most = min(model.sizes(layer)[1] for layer in settings.layers)
    size = min(len(requests), settings.batch_size or len(requests))
    if size > most:
        raise RequestRefused(
            f"{size} requests cannot be solved together",
            why=f"a layer to be edited has {most} inputs, and room for as many keys",
            hint=f"set batch_size to {most} or less",
        )


def _together(
    model: EditableModel,
    requests: Sequence[EditRequest],
    before: Sequence[Edit],
    prefixes: Sequence[str],
    settings: SpreadHyperparameters,
    solves: Mapping[int, Solve],
    progress: Progress,
) -> Edit:
    """One batch: its layers in turn, with the live weights of those below edited already."""
    layers = settings.layers
    wanted = _wanted(model, requests, prefixes, settings, progress)
    operations: dict[str, list[LowRank]] = {}
    auxiliary: dict[str, NDArray[np.float32]] = {}
    with borrowed(model, [model.weight(layer) for layer in layers]):
        for done, layer in enumerate(layers):
            progress("layers", done, len(layers))
            name = model.tensor_name(layer)
            stored = f"{name}::aux.keys"
            keys, states = measured(
                model, requests, prefixes, layer, layers[-1], settings.bare_weight
            )
            residuals = (wanted - states) / np.float32(len(layers) - done)
            earlier = np.concatenate([keys[:0], *(edit.auxiliary[stored] for edit in before)])
            solved = solves[layer](keys.T, earlier.T)
            operations[name] = stored_sum(
                residuals, solved, transposed=model.architecture.transposed
            )
            for operation in operations[name]:
                add(model.weight(layer), operation)
            auxiliary |= {stored: keys, f"{name}::aux.residuals": residuals}
    progress("layers", len(layers), len(layers))
    return Edit(operations=operations, auxiliary=auxiliary)


def _wanted(
    model: EditableModel,
    requests: Sequence[EditRequest],
    prefixes: Sequence[str],
    settings: SpreadHyperparameters,
    progress: Progress,
) -> NDArray[np.float32]:
    """z of each request, float32 [N, hidden]."""
    last = settings.layers[-1]
    deltas = [
        locate(
            model,
            request,
            prefixes,
            last,
            settings,
            numbered(progress, number, len(requests)),
            against="state",
        ).residual
        for number, request in enumerate(requests, 1)
    ]
    _, states = measured(model, requests, (), last, last, settings.bare_weight)
    wanted: NDArray[np.float32] = states + np.stack(deltas)
    return wanted
