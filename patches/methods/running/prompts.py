"""Prompts as tokens: where the subject ends, where the target begins, and rows of them aligned."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch

from ...checkpoints.models import EditableModel
from ...errors import LimitExceeded, RequestRefused
from ...evaluation.logits import require_fits
from ...requests import EditRequest


@dataclass(frozen=True)
class Row:
    """A tokenised prompt; `subject` is the index of the token in which the subject ends."""

    ids: tuple[int, ...]
    subject: int
    target: tuple[int, ...] = ()

    @property
    def given(self) -> tuple[int, ...]:
        """What the model reads to predict all of the target: everything but its last token."""
        return self.ids + self.target[:-1]


def tokenise(
    model: EditableModel, prompt: str, subject: str, *, prefix: str = "", target: str | None = None
) -> Row:
    """Tokenise `prefix` + `prompt` with the subject at {}, then a space and the target, if any.

    White space at the seam counts as that one space. The text is tokenised as a whole, and tokens
    are found by the characters that they cover: the subject ends in the last token that begins
    before its end, the target begins with the first that reaches beyond the prompt. Raises
    RequestRefused if they cannot be told apart, LimitExceeded if the model does not read as much,
    BaseMismatch for a token that it does not know.
    """
    before, after = prompt.split("{}", 1)
    upto = f"{prefix}{before}{subject}".rstrip()
    text = f"{prefix}{before}{subject}{after}".rstrip()
    whole = text if target is None else f"{text} {target.strip()}"
    coded = model.tokenizer(whole, return_offsets_mapping=True, verbose=False)
    spans = [(index, *span) for index, span in enumerate(coded["offset_mapping"])]
    within = [index for index, start, end in spans if start < min(end, len(upto))]
    beyond = [index for index, start, end in spans if max(start, len(text)) < end]
    ids = tuple(coded["input_ids"])
    if not within or (target is not None and (not beyond or beyond[0] <= within[-1])):
        raise RequestRefused(
            f"the tokens of {whole!r} do not show where the subject ends and the target begins",
            hint="give a subject and a target that the model's tokenizer knows",
        )
    if target is None:
        return answered(model, Row(ids, within[-1]), ())
    row = Row(ids[: beyond[0]], within[-1])
    return answered(model, row, ids[beyond[0] : beyond[-1] + 1])


def answered(model: EditableModel, row: Row, target: tuple[int, ...]) -> Row:
    """The row with `target`; raises LimitExceeded, BaseMismatch if the model cannot read it."""
    row = replace(row, target=target)
    require_fits(model.model, [row.given])
    return row


def row_of(model: EditableModel, request: EditRequest, *, prefix: str = "") -> Row:
    """The request's prompt with its target; raises as `tokenise` does."""
    return tokenise(model, request.prompt, request.subject, prefix=prefix, target=request.target)


def tokenise_after(
    model: EditableModel, request: EditRequest, prefixes: Sequence[str]
) -> list[Row]:
    """The request's prompt with its target, then the same after each prefix that leaves it room.

    Raises as `tokenise` does, of the bare prompt.
    """
    rows = [row_of(model, request)]
    for prefix in prefixes:
        with suppress(LimitExceeded):
            rows.append(row_of(model, request, prefix=prefix))
    return rows


def require_rows(model: EditableModel, requests: Sequence[EditRequest]) -> None:
    """Raise as `tokenise` does, for any of the requests, before there is work to lose."""
    for request in requests:
        row_of(model, request)


@dataclass(frozen=True)
class Batch:
    """Rows padded so that every subject ends at the same index, `subject`.

    `ids`, `mask` and `positions` are int64 [rows, length]; `shift` says by how much each row was
    moved to the right.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    subject: int
    shift: tuple[int, ...]


def align(rows: Sequence[Row], device: torch.device) -> Batch:
    """Pad rows on the left until their subjects end together, and on the right to one length.

    What is on the right is never attended to by a token before it, so only the left is masked.
    """
    subject = max(row.subject for row in rows)
    shift = tuple(subject - row.subject for row in rows)
    length = max(move + len(row.given) for move, row in zip(shift, rows, strict=True))
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.ones(len(rows), length, dtype=torch.long)
    for index, (move, row) in enumerate(zip(shift, rows, strict=True)):
        ids[index, move : move + len(row.given)] = torch.tensor(row.given)
        mask[index, :move] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return Batch(ids.to(device), mask.to(device), positions.to(device), subject, shift)
