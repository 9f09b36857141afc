"""Keys and states of many requests, as the model in hand has them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...checkpoints.models import EditableModel
from ...requests import EditRequest
from ..running.decoder import run_up_to
from ..running.prompts import Row, align, tokenise_after
from ..statistics.second_moment import captured_keys
from .locate import mean_key

_ROWS_AT_ONCE = 96

_Measured = tuple[NDArray[np.float32], NDArray[np.float32]]


def measured(
    model: EditableModel,
    requests: Sequence[EditRequest],
    prefixes: Sequence[str],
    layer: int,
    last: int,
    bare_weight: float,
) -> _Measured:
    """Mean keys at `layer` [N, in], and states of `last` on the bare prompts [N, hidden].

    Both at the subject's last token, float32. Raises RequestRefused for a subject whose tokens
    cannot be found, LimitExceeded for a prompt that is too long.
    """
    size = max(1, _ROWS_AT_ONCE // (1 + len(prefixes)))
    parts = [
        _some(model, requests[start : start + size], prefixes, layer, last, bare_weight)
        for start in range(0, len(requests), size)
    ]
    keys, states = zip(*parts, strict=True)
    return np.concatenate(keys), np.concatenate(states)


@torch.no_grad()
def _some(
    model: EditableModel,
    requests: Sequence[EditRequest],
    prefixes: Sequence[str],
    layer: int,
    last: int,
    bare_weight: float,
) -> _Measured:
    groups = [tokenise_after(model, request, prefixes) for request in requests]
    batch = align([_begin(row) for group in groups for row in group], model.device)
    with captured_keys(model, [layer]) as captured:
        states = run_up_to(model, last, batch.ids, batch.mask, batch.positions)[:, -1]
    bare = np.cumsum([0, *map(len, groups[:-1])])
    grouped = np.split(captured[layer][:, -1].cpu().numpy(), bare[1:])
    keys = np.stack([mean_key(group, bare_weight) for group in grouped])
    return keys, states.cpu().numpy()[bare]


def _begin(row: Row) -> Row:
    """Up to the subject: what follows cannot change what the model makes of it."""
    return Row(row.ids[: row.subject + 1], row.subject)
