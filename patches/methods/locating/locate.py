"""Where a fact is looked up: the keys of a subject at a layer, and what should be added there."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ...checkpoints.models import EditableModel
from ...errors import NonFinite, RequestRefused
from ...progress import Progress
from ...requests import EditRequest
from ..running.decoder import Continuation, run_up_to
from ..running.prompts import align, tokenise, tokenise_after
from ..statistics.second_moment import captured_keys
from .value import Objective, ValueHyperparameters, find_value

_ESSENCE = "{} is a"
_LEAST = 1e-15
"""Of a norm; its square is still a number of float32."""


class Located(NamedTuple):
    """Keys float32 [1 + prefixes, in], the bare prompt's first; residual float32 [hidden]."""

    keys: NDArray[np.float32]
    residual: NDArray[np.float32]


def require_editable(model: EditableModel, layer: int, *, field: str = "layer") -> None:
    """Raise RequestRefused unless there are layers above `layer` to carry on what it says.

    `field` is the hyperparameter that named it.
    """
    if layer >= model.layer_count - 1:
        raise RequestRefused(
            f"layer {layer} cannot be edited",
            why=f"the model has {model.layer_count}, counted from 0, and only attention above a "
            "layer carries on what the subject is given there",
            hint=f"set {field} to {model.layer_count - 2} or less",
        )


def locate(
    model: EditableModel,
    request: EditRequest,
    prefixes: Sequence[str],
    layer: int,
    settings: ValueHyperparameters,
    progress: Progress,
    *,
    against: Literal["output", "state"] = "output",
) -> Located:
    """The subject's keys at `layer` (Meng et al. 2022, eq. 3) and the residual δ = v* - v (eq. 4).

    The length of δ is held against that of the MLP's output, or of the layer's state. Raises
    RequestRefused, LimitExceeded, NonFinite; prefixes that leave the prompt no room are left out.
    """
    progress("key", 0, 1)
    essence = tokenise(model, _ESSENCE, request.subject)
    rows = [*tokenise_after(model, request, prefixes), essence]
    batch = align(rows, model.device)
    with torch.no_grad(), captured_keys(model, [layer]) as captured:
        states = run_up_to(model, layer, batch.ids, batch.mask, batch.positions)
        keys = captured[layer][:-1, batch.subject]
        measured = (
            model.projection(layer)(keys[:1]) if against == "output" else states[0, batch.subject]
        )
    scale = measured.norm().item()
    _require_response(layer, keys[0].norm().item(), scale)
    tail = Continuation(model, layer, batch, states)
    objective = Objective(model, tail, rows, batch, scale, settings)
    progress("key", 1, 1)
    delta = find_value(objective, settings, progress)
    return Located(keys.cpu().numpy(), delta.cpu().numpy())


def _require_response(layer: int, key: float, value: float) -> None:
    """Raise NonFinite for a key or a value, given by its norm, that nothing can be measured by."""
    if min(key, value) < _LEAST:
        what = "inner neurons" if key < _LEAST else "output"
        raise NonFinite(
            f"layer {layer} does not respond to the subject",
            why=f"its MLP's {what} at the subject's last token is 0",
            hint="set another layer, or use an undamaged base",
        )


def mean_key(keys: NDArray[np.float32], bare_weight: float) -> NDArray[np.float32]:
    """k* from keys [1 + prefixes, in], of which the first is the bare prompt's.

    A subject with nothing before it can have a key quite unlike the others, and a mean in which all
    count alike would miss the very prompt that the request is about.
    """
    mean = keys[1:].mean(axis=0, dtype=np.float64) if len(keys) > 1 else keys[0]
    weighted: NDArray[np.float64] = bare_weight * keys[0] + (1 - bare_weight) * mean
    return weighted.astype(np.float32)
