"""A prompt and its answer as the tokens that a model is shown and those that it is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RequestRefused
from ..requests import Probe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Forced:
    """Tokens of a prompt followed by its answer; those from `start` on are the answer's."""

    ids: tuple[int, ...]
    start: int

    @property
    def inputs(self) -> tuple[int, ...]:
        """What the model is shown: all but the last token, which nothing comes after."""
        return self.ids[:-1]

    @property
    def target(self) -> tuple[int, ...]:
        """The answer's tokens."""
        return self.ids[self.start :]


def encode(tokenizer: "PreTrainedTokenizerBase", probes: Sequence[Probe]) -> list[Forced]:
    """Tokenise `prompt + " " + target` whole, as EasyEdit and ROME do.

    White space at the seam counts as that one space. Special tokens are those that the tokenizer
    adds by itself, without any that it adds at the end. The answer begins where the tokens part
    from those of the prompt alone: after them, or, where the tokenizer merges across the seam, at
    the merged token, which then belongs to the answer. Raises RequestRefused for a probe that
    leaves nothing to ask for or nothing to ask it from.
    """
    if not probes:
        return []
    prompts = [probe.prompt.rstrip() for probe in probes]
    wholes = [
        f"{prompt} {probe.target.strip()}" for prompt, probe in zip(prompts, probes, strict=True)
    ]
    pairs = zip(tokens(tokenizer, prompts), tokens(tokenizer, wholes), strict=True)
    forced = [Forced(whole, _parting(prompt, whole)) for prompt, whole in pairs]
    for probe, item in zip(probes, forced, strict=True):
        _check(probe, item)
    return forced


def tokens(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> list[tuple[int, ...]]:
    """Tokens of each text, with the special ones that go before it but none after it."""
    encoded = tokenizer(texts, return_attention_mask=False, return_special_tokens_mask=True)
    return [
        _without_ending(ids, added)
        for ids, added in zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
    ]


def _without_ending(ids: list[int], added: list[int]) -> tuple[int, ...]:
    end = len(ids)
    while end and added[end - 1]:
        end -= 1
    return tuple(ids[:end])


def _parting(prompt: tuple[int, ...], whole: tuple[int, ...]) -> int:
    same = 0
    while same < min(len(prompt), len(whole)) and prompt[same] == whole[same]:
        same += 1
    return same


def _check(probe: Probe, forced: Forced) -> None:
    if not forced.target:
        raise RequestRefused(f"the tokenizer makes no token of the answer {probe.target!r}")
    if forced.start == 0:
        raise RequestRefused(
            f"the prompt {probe.prompt!r} leaves no token from which {probe.target!r} could follow",
            hint="use a longer prompt",
        )
