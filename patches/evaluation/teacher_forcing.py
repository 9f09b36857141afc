"""What a model answers when it is shown a prompt and the answer's tokens one by one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..errors import InputError, RequestRefused
from ..progress import Progress, silent
from ..requests import Probe
from .encoding import Forced, encode
from .journal import Journal
from .logits import inference, logits_at, nan_answers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BLOCK = 64
_LEAST, _MOST = -1e6, 1e-6
"""Of what is recalled as log p: 0 but for rounding."""


@dataclass(frozen=True)
class Observed:
    """At each token of an answer: the token, the most likely one, and the answer's log p."""

    target: tuple[int, ...]
    argmax: tuple[int, ...]
    log_probs: tuple[float, ...]

    @property
    def nll(self) -> float:
        """Mean over the answer's tokens of -log p."""
        return -math.fsum(self.log_probs) / len(self.log_probs)


@dataclass(frozen=True)
class Observations:
    """What a model answered to each probe; keep the base's, and score many edits against them."""

    seen: Mapping[Probe, Observed]

    def __getitem__(self, probe: Probe) -> Observed:
        """Look a probe up; raises RequestRefused for one that was not asked."""
        try:
            return self.seen[probe]
        except KeyError:
            raise RequestRefused(
                f"nothing was observed for {probe.prompt!r} with {probe.target!r}",
                why="the observations were made with other requests",
            ) from None


def observe(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    probes: Iterable[Probe],
    *,
    batch_size: int = 32,
    progress: Progress = silent,
    journal: Journal | None = None,
) -> Observations:
    """Ask the model for every probe's answer; equal probes are asked once.

    What is in the `journal` is not asked, and what is asked is written there batch by batch.
    Raises RequestRefused, BaseMismatch, LimitExceeded, NonFinite, InputError.
    """
    asked = list(dict.fromkeys(probes))
    forced = encode(tokenizer, asked)
    seen = observe_forced(model, forced, batch_size=batch_size, progress=progress, journal=journal)
    return Observations({probe: seen[item] for probe, item in zip(asked, forced, strict=True)})


def observe_forced(
    model: "PreTrainedModel",
    forced: Iterable[Forced],
    *,
    batch_size: int = 32,
    progress: Progress = silent,
    journal: Journal | None = None,
) -> dict[Forced, Observed]:
    """Ask the model for tokens that are known already; `observe` says the rest.

    A causal model's answer at a position depends on nothing after it, so one pass over a row of
    tokens also answers for every item that is a beginning of it: two answers of one token each to
    the same prompt cost one pass. Raises BaseMismatch, LimitExceeded, NonFinite, InputError.
    """
    if batch_size < 1:
        raise InputError("the batch size must be at least 1")
    journal = journal or Journal()
    items = set(forced)
    seen = {item: known for item in items if (known := _recalled(item, journal))}
    groups = _groups(items - seen.keys())
    with inference(model):
        for start in range(0, len(groups), batch_size):
            batch = groups[start : start + batch_size]
            found = _observe_batch(model, batch)
            journal.put(
                ([item.start, *item.ids], [list(one.argmax), list(one.log_probs)])
                for item, one in found.items()
            )
            seen.update(found)
            progress("scoring", start + len(batch), len(groups))
    return seen


def _recalled(item: Forced, journal: Journal) -> Observed | None:
    """What the journal says of an item, if it is what an observation looks like."""
    answer = journal.get([item.start, *item.ids])
    if not isinstance(answer, list) or len(answer) != 2:
        return None
    argmax, log_probs = answer
    fits = all(isinstance(part, list) and len(part) == len(item.target) for part in answer)
    if not fits or any(type(token) is not int or token < 0 for token in argmax):
        return None
    if any(type(value) not in (int, float) or not _LEAST <= value <= _MOST for value in log_probs):
        return None
    return Observed(item.target, tuple(argmax), tuple(map(float, log_probs)))


def _groups(forced: Iterable[Forced]) -> list[list[Forced]]:
    """Put with each row, shortest first, what can be read off the same pass."""
    groups: list[list[Forced]] = []
    for item in sorted(set(forced), key=lambda item: (item.inputs, item.ids), reverse=True):
        if groups and groups[-1][0].inputs[: len(item.inputs)] == item.inputs:
            groups[-1].append(item)
        else:
            groups.append([item])
    return sorted(groups, key=lambda group: len(group[0].inputs))


def _observe_batch(
    model: "PreTrainedModel", groups: Sequence[Sequence[Forced]]
) -> dict[Forced, Observed]:
    places: dict[tuple[int, int], int] = {}
    wanted: dict[Forced, list[int]] = {}
    for row, group in enumerate(groups):
        for item in group:
            wanted[item] = [
                places.setdefault((row, position), len(places))
                for position in range(item.start - 1, len(item.inputs))
            ]
    logits = logits_at(model, [group[0].inputs for group in groups], list(places))
    argmax = logits.argmax(-1).tolist()
    index = torch.tensor([place for chosen in wanted.values() for place in chosen])
    tokens = torch.tensor([token for item in wanted for token in item.target])
    log_probs = iter(_log_probs(logits, index.to(logits.device), tokens.to(logits.device)))
    return {
        item: Observed(
            target=item.target,
            argmax=tuple(argmax[place] for place in chosen),
            log_probs=tuple(next(log_probs) for _ in chosen),
        )
        for item, chosen in wanted.items()
    }


def _log_probs(logits: torch.Tensor, index: torch.Tensor, tokens: torch.Tensor) -> list[float]:
    """Take log softmax(logits[index])[tokens], in float64 where the device has it."""
    wide = torch.float32 if logits.device.type == "mps" else torch.float64
    norms = torch.cat([block.to(wide).logsumexp(-1) for block in torch.split(logits, _BLOCK)])
    values: list[float] = (logits[index, tokens].to(wide) - norms[index]).tolist()
    if any(map(math.isnan, values)):
        raise nan_answers()
    return values
