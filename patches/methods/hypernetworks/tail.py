"""The top layers of a decoder, run on what the layers below have computed once.

A change of their weights is added to their outputs, (W + ΔW)x = Wx + ΔWx, with ΔW as factors: rows
of one batch can each have a change of their own, and gradients flow into the factors.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from ...checkpoints.models import EditableModel
from ...evaluation.encoding import Forced
from ...evaluation.logits import require_fits
from ..running.decoder import Upper, run_up_to
from .weights import EditedWeight

_ROWS_AT_ONCE = 32


class Change(NamedTuple):
    """ΔW = Σ_t left_t right_tᵀ, one for each record: [records, T, out] and [records, T, in]."""

    left: torch.Tensor
    right: torch.Tensor


class Gradient(NamedTuple):
    """∇W = Σ_t δ_t u_tᵀ, one for each record: δ [records, T, out] and u [records, T, in]."""

    delta: torch.Tensor
    inputs: torch.Tensor


class Row(NamedTuple):
    """A prompt and its answer, and what the layers below the edited ones make of it.

    `states` is [length, hidden] float32.
    """

    forced: Forced
    states: torch.Tensor


class Answers(NamedTuple):
    """Where the tokens of the answers of some rows are read, and which: each [places] int64."""

    rows: torch.Tensor
    columns: torch.Tensor
    tokens: torch.Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device) -> "Answers":
        """The places of all answers, row by row."""
        found = [
            (index, row.forced.start - 1 + offset, token)
            for index, row in enumerate(rows)
            for offset, token in enumerate(row.forced.target)
        ]
        return cls(*torch.tensor(found, device=device).T)


class Tail:
    """The layers from the lowest of `weights` on, of a model that is borrowed meanwhile."""

    def __init__(self, model: EditableModel, weights: Sequence[EditedWeight]) -> None:
        self.model = model
        self.weights = tuple(weights)
        self._first = min(weight.layer for weight in weights)
        self._modules = [model.model.get_submodule(weight.module) for weight in weights]
        self._upper = Upper(model, self._first)

    @torch.no_grad()
    def rows(self, forced: Sequence[Forced]) -> list[Row]:
        """Run the layers below on rows of tokens, those of like length together.

        Raises LimitExceeded for a row beyond the context, BaseMismatch for an unknown token.
        """
        if forced:
            require_fits(self.model.model, [each.inputs for each in forced])
        order = sorted(range(len(forced)), key=lambda index: len(forced[index].inputs))
        found: dict[int, Row] = {}
        for start in range(0, len(order), _ROWS_AT_ONCE):
            some = order[start : start + _ROWS_AT_ONCE]
            ids = pad_sequence(
                [torch.tensor(forced[index].inputs) for index in some], batch_first=True
            )
            states = run_up_to(self.model, self._first - 1, ids.to(self.model.device))
            for index, row in zip(some, states, strict=True):
                kept = row[: len(forced[index].inputs)].clone()
                found[index] = Row(forced[index], kept)
        return [found[index] for index in range(len(forced))]

    def run(self, states: torch.Tensor) -> torch.Tensor:
        """Last hidden states, after the norm, for states [rows, length, hidden]."""
        return self._upper(states)

    def log_probabilities(self, last: torch.Tensor, answers: Answers) -> torch.Tensor:
        """[places, vocabulary], from the last hidden states of all rows."""
        logits: torch.Tensor = self.model.head(last[answers.rows, answers.columns])
        return logits.log_softmax(-1)

    def gradients(self, rows: Sequence[Row]) -> list[Gradient]:
        """∇W of -log p(answer), a mean over the answer's tokens, by weight and by row."""
        answers = Answers.of(rows, self.model.device)
        states = padded(rows).requires_grad_()
        with torch.enable_grad(), self._captured() as captured:
            chances = self.log_probabilities(self.run(states), answers)
            loss = answer_loss(chances, answers, len(rows)).sum()
            outputs = [output for _, output in captured]
            deltas = torch.autograd.grad(loss, outputs)
        inputs = [given.detach() for given, _ in captured]
        return [Gradient(delta, given) for delta, given in zip(deltas, inputs, strict=True)]

    @contextmanager
    def changed(self, changes: Sequence[Change], owners: torch.Tensor) -> Iterator[None]:
        """While open, row i runs with the weights as changed for record owners[i]."""
        with ExitStack() as hooks:
            for module, change in zip(self._modules, changes, strict=True):
                left, right = change.left[owners], change.right[owners]
                hooks.enter_context(
                    module.register_forward_hook(
                        lambda _module, inputs, output, left=left, right=right: (
                            output + inputs[0] @ right.transpose(1, 2) @ left
                        )
                    )
                )
            yield

    @contextmanager
    def _captured(self) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
        """While open, a forward leaves input and output of each edited module, in their order."""
        seen: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}
        found: list[tuple[torch.Tensor, torch.Tensor]] = []

        def keep(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            seen[module] = inputs[0], output
            if len(seen) == len(self._modules):
                found[:] = [seen[each] for each in self._modules]

        with ExitStack() as hooks:
            for module in self._modules:
                hooks.enter_context(module.register_forward_hook(keep))
            yield found


def padded(rows: Sequence[Row]) -> torch.Tensor:
    """States of all rows [rows, length, hidden], padded on the right, where nobody attends."""
    return pad_sequence([row.states for row in rows], batch_first=True)


def answer_loss(chances: torch.Tensor, answers: Answers, count: int) -> torch.Tensor:
    """-log p of each row's answer, a mean over its tokens: [count]."""
    found = -chances.gather(1, answers.tokens[:, None])[:, 0]
    return row_means(found, answers.rows, count)


def row_means(values: torch.Tensor, rows: torch.Tensor, count: int) -> torch.Tensor:
    """Mean of `values` [places] over the places of each row: [count]."""
    sums = values.new_zeros(count).index_add(0, rows, values)
    sizes = values.new_zeros(count).index_add(0, rows, torch.ones_like(values))
    return sums / sizes
