"""What a model answers when it is shown a prompt and the answer's tokens one by one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..errors import InputError, NonFinite, RequestRefused
from ..progress import Progress, silent
from ..requests import Probe
from .encoding import Forced, encode
from .logits import inference, logits_at

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BLOCK = 64


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
) -> Observations:
    """Ask the model for every probe's answer; equal probes are asked once.

    A causal model's answer at a position depends on nothing after it, so one pass over a row of
    tokens also answers for every probe that is a beginning of it: two answers of one token each to
    the same prompt cost one pass. Raises RequestRefused, BaseMismatch, LimitExceeded, NonFinite.
    """
    if batch_size < 1:
        raise InputError("the batch size must be at least 1")
    asked = list(dict.fromkeys(probes))
    forced = encode(tokenizer, asked)
    groups = _groups(forced)
    seen: dict[Forced, Observed] = {}
    with inference(model):
        for start in range(0, len(groups), batch_size):
            batch = groups[start : start + batch_size]
            seen.update(_observe_batch(model, batch))
            progress("scoring", start + len(batch), len(groups))
    return Observations({probe: seen[item] for probe, item in zip(asked, forced, strict=True)})


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
        raise NonFinite(
            "the model answers with NaN",
            why="its weights, or a patch on them, have left the range of their type",
        )
    return values
