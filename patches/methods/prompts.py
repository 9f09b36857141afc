"""Prompts as tokens: where the subject ends, where the target begins, and rows of them aligned."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..errors import RequestRefused
from ..models import EditableModel


@dataclass(frozen=True)
class Row:
    """One tokenised prompt, perhaps followed by a target.

    `subject` is the index of the subject's last token; `target` that of the target's first, or the
    number of tokens if there is none.
    """

    ids: tuple[int, ...]
    subject: int
    target: int


def tokenise(
    model: EditableModel, prompt: str, subject: str, *, prefix: str = "", target: str | None = None
) -> Row:
    """Tokenise `prefix` + `prompt` with the subject at {}, then a space and the target.

    Tokens are found by the characters that they cover, in the text tokenised as a whole: the
    subject's last token is the one with its last character, the target's first the first that
    reaches beyond the prompt. Raises RequestRefused if there is no such token.
    """
    before, after = prompt.split("{}", 1)
    end = len(prefix) + len(before) + len(subject.rstrip())
    text = f"{prefix}{before}{subject}{after}"
    stop = len(text)
    if target is not None:
        text = f"{text} {target}"
    coded = model.tokenizer(text, return_offsets_mapping=True)
    spans = [tuple(span) for span in coded["offset_mapping"]]
    last = _last_before(spans, end, f"subject {subject!r}")
    beyond = [index for index, (start, until) in enumerate(spans) if start < until and until > stop]
    if target is not None and not beyond:
        raise RequestRefused(f"the tokenizer has no token for the target {target!r}")
    ids = coded["input_ids"]
    if not beyond:
        return Row(tuple(ids), last, len(ids))
    return Row(tuple(ids[: beyond[-1] + 1]), last, beyond[0])


def _last_before(spans: Sequence[tuple[int, ...]], end: int, what: str) -> int:
    found = [index for index, (start, until) in enumerate(spans) if start < end <= until]
    if not found:
        raise RequestRefused(f"the tokenizer has no token for the {what}")
    return found[-1]


@dataclass(frozen=True)
class Aligned:
    """Rows padded so that every subject's last token has the same index.

    `ids`, `mask` and `positions` are int64 [rows, length]; `subject` is that index; `shift` says by
    how much each row was moved to the right.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    subject: int
    shift: tuple[int, ...]


def align(rows: Sequence[Sequence[int]], subjects: Sequence[int], device: torch.device) -> Aligned:
    """Pad rows of token ids on the left until their subjects meet, and on the right to one length.

    What is on the right is never attended to by a token before it, so only the left is masked.
    """
    subject = max(subjects)
    shift = tuple(subject - index for index in subjects)
    length = max(move + len(row) for move, row in zip(shift, rows, strict=True))
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.ones(len(rows), length, dtype=torch.long)
    for index, (move, row) in enumerate(zip(shift, rows, strict=True)):
        ids[index, move : move + len(row)] = torch.tensor(row)
        mask[index, :move] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return Aligned(ids.to(device), mask.to(device), positions.to(device), subject, shift)
