"""How much each inner neuron of the MLPs adds to the probability of an answer.

Dai et al. 2022 (arXiv:2104.08696), eq. 5, integrated gradients by a Riemann sum of m steps:

    Attr(w_i) = w_i / m · Σ_{k=1..m} ∂P(k/m · w) / ∂w_i

where w [in] is what reaches a layer's output projection at the prompt's last token, and P(·) the
probability of the answer with something else in its place. Over one layer the attributions sum up
to P(w) - P(0) as m grows (Sundararajan, Taly, Yan 2017, arXiv:1703.01365).
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Cache

from ...checkpoints.models import EditableModel
from ...errors import NonFinite
from ...progress import Progress, silent
from ..running.decoder import Continuation, run_up_to
from ..running.prompts import Batch, Row, align
from ..statistics.second_moment import captured_keys

BRANCHES = 256
"""Rows that are continued at a time, unless one prompt has more."""


class Branches(Continuation):
    """Rows continued in `count` ways each, with something else added at `subject` in each.

    Called with what is added, [rows * count, 1, hidden], all of the first row first.
    """

    def __init__(
        self, model: EditableModel, layer: int, batch: Batch, states: torch.Tensor, count: int
    ) -> None:
        super().__init__(model, layer, batch, states)
        self._states = self._states.repeat_interleave(count, 0)
        self._batch = Batch(
            batch.ids.repeat_interleave(count, 0),
            batch.mask.repeat_interleave(count, 0),
            batch.positions.repeat_interleave(count, 0),
            batch.subject,
            tuple(shift for shift in batch.shift for _ in range(count)),
        )
        self._cache = Cache(layers=[_repeated(layer, count) for layer in self._cache.layers])


def _repeated(layer: Any, count: int) -> Any:  # noqa: ANN401 - a layer of transformers' Cache
    """A layer of the cache with each row `count` times; it, too, never keeps what is appended."""
    return type(layer)(
        layer.keys.repeat_interleave(count, 0), layer.values.repeat_interleave(count, 0)
    )


def attributions(
    model: EditableModel, rows: Sequence[Row], steps: int, progress: Progress = silent
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Attributions and activations of all neurons, each float32 [rows, layers, in].

    They are of the probability of all of `target`, of one length in all rows, at the last token of
    `ids`. The scaled activations of a layer are one batch, for which only the layers above run, on
    that token and those after it. Raises NonFinite.
    """
    size = max(1, BRANCHES // steps)
    parts = [
        _of_rows(model, rows[start : start + size], steps, progress)
        for start in range(0, len(rows), size)
    ]
    found, inner = (torch.cat(each).cpu().numpy() for each in zip(*parts, strict=True))
    if not np.isfinite(found).all():
        raise NonFinite("the attribution to neurons is not finite", hint="use an undamaged base")
    return found, inner


def _of_rows(
    model: EditableModel, rows: Sequence[Row], steps: int, progress: Progress
) -> tuple[torch.Tensor, torch.Tensor]:
    batch = align([Row(row.ids, len(row.ids) - 1, row.target) for row in rows], model.device)
    layers = range(model.layer_count)
    with torch.no_grad(), captured_keys(model, layers) as keys, _captured_states(model) as states:
        run_up_to(model, layers[-1], batch.ids, batch.mask, batch.positions)
    inner = torch.stack([keys[layer][:, batch.subject] for layer in layers], 1)
    targets = torch.tensor([row.target for row in rows], device=model.device)
    found = []
    for layer in layers:
        progress("attribution", layer, len(layers))
        tail = Branches(model, layer, batch, states[layer], steps)
        found.append(_of_layer(model, layer, inner[:, layer], tail, targets, steps))
    progress("attribution", len(layers), len(layers))
    return torch.stack(found, 1), inner


def _of_layer(
    model: EditableModel,
    layer: int,
    inner: torch.Tensor,
    tail: Branches,
    targets: torch.Tensor,
    steps: int,
) -> torch.Tensor:
    """Attributions [rows, in] to the neurons `inner` of one layer, for targets [rows, length].

    With s·w in the place of w the layer's output changes by (s - 1) W w, and the gradient with
    respect to the neurons is Wᵀ times that with respect to the output.
    """
    weight = model.weight(layer).detach()
    matrix = weight.T if model.architecture.transposed else weight
    scales = torch.arange(1, steps + 1, device=inner.device, dtype=inner.dtype) / steps
    added = (inner @ matrix.T)[:, None] * (scales - 1)[:, None]
    added = added.flatten(0, 1)[:, None].requires_grad_()
    logits = model.head(tail(added)[:, : targets.shape[1]])
    wanted = targets.repeat_interleave(steps, 0)[:, :, None]
    chances = logits.log_softmax(-1).gather(2, wanted)[:, :, 0].sum(1).exp()
    (gradient,) = torch.autograd.grad(chances.sum(), added)
    mean = gradient.view(len(inner), steps, -1).mean(1)
    found: torch.Tensor = inner * (mean @ matrix)
    return found


@contextmanager
def _captured_states(model: EditableModel) -> Iterator[dict[int, torch.Tensor]]:
    """While open, each forward leaves the output of every layer in the dict."""
    states: dict[int, torch.Tensor] = {}
    with ExitStack() as hooks:
        for index, layer in enumerate(model.layers):
            hooks.enter_context(
                layer.register_forward_hook(
                    lambda _layer, _inputs, output, index=index: states.update({index: output})
                )
            )
        yield states
