"""Requests as rows of tokens, with the loss of what the model answers to them.

Two objectives: under `target` each token of the target is asked for after those before it (teacher
forcing, the prompt masked), under `last` all of them at the prompt's last token, as if each were
the next. For a target of one token they are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from ...checkpoints.models import EditableModel
from ...requests import EditRequest
from ..running.prompts import Row, row_of

Objective = Literal["last", "target"]

_ROWS = 32
"""In one pass, so that memory does not grow with the number of requests."""


@dataclass(frozen=True)
class Answers:
    """Rows that go through the model together, and what is asked where.

    `ids` is int64 [rows, length], padded on the right, where nothing is attended to that comes
    before; `rows` and `columns` are the places that are read, `place` says which of them is asked
    for each of `tokens`, and `weights` what its -log p counts.
    """

    ids: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    place: torch.Tensor
    tokens: torch.Tensor
    weights: torch.Tensor

    def loss(self, model: EditableModel, last: torch.Tensor) -> torch.Tensor:
        """Σ weight · -log p of the tokens, for last hidden states [rows, length, hidden].

        Logits are computed at the places that are read, and nowhere else.
        """
        logits: torch.Tensor = model.head(last[self.rows, self.columns])
        found = logits.log_softmax(-1)[self.place, self.tokens]
        return -(found * self.weights).sum()


def answers(
    model: EditableModel, requests: Sequence[EditRequest], objective: Objective
) -> list[Answers]:
    """The requests in blocks whose losses add up to the mean over requests of the mean over tokens.

    Raises RequestRefused, LimitExceeded, BaseMismatch.
    """
    rows = [row_of(model, request) for request in requests]
    return [
        _block(rows[start : start + _ROWS], objective, len(rows), model.device)
        for start in range(0, len(rows), _ROWS)
    ]


def _block(rows: Sequence[Row], objective: Objective, count: int, device: torch.device) -> Answers:
    places: list[tuple[int, int]] = []
    asked: list[tuple[int, int]] = []
    weights: list[float] = []
    for index, row in enumerate(rows):
        for offset, token in enumerate(row.target):
            if objective == "target" or offset == 0:
                places.append((index, len(row.ids) - 1 + offset))
            asked.append((len(places) - 1, token))
        weights += [1 / (len(row.target) * count)] * len(row.target)
    given = [row.given if objective == "target" else row.ids for row in rows]
    width = max(map(len, given))
    ids = torch.tensor([[*each, *[0] * (width - len(each))] for each in given])
    (at, columns), (place, tokens) = (torch.tensor(pairs).T.to(device) for pairs in (places, asked))
    return Answers(ids.to(device), at, columns, place, tokens, torch.tensor(weights, device=device))
