"""The suite `text`: what an edit does to the language at large, and to the model's own writing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..datasets.loading import text_for_perplexity
from ..digests import sha256
from ..errors import RequestRefused
from ..progress import Progress, silent
from ..requests import EditRequest
from .base import Score
from .definitions import TEXT, Measure
from .encoding import Forced, tokens
from .entropy import ngram_entropy
from .generation import Ids, Sampling, write
from .journal import Journal
from .logits import context_length
from .measures import mean
from .teacher_forcing import observe_forced

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WINDOW = 256
WINDOWS = 32
DRAWN = Sampling()
_CASE = "text"
_POSITIONS = 16
_HIGHEST = 690.0


@dataclass(frozen=True)
class TextSeen:
    """Log p of each token of the text that counts, and what was written after each prompt."""

    log_probs: tuple[float, ...]
    written: Mapping[str, str]


class TextSuite:
    """Perplexity of `text`, the one that is shipped unless given, and entropy of what is written.

    Texts are written after the requests' `generation` prompts, or after the rewrite prompt of a
    request that has none.
    """

    name: ClassVar[str] = "text"
    measures: ClassVar[Mapping[str, Measure]] = TEXT

    def __init__(self, text: str | None = None, sampling: Sampling = DRAWN) -> None:
        self.text = text_for_perplexity() if text is None else text
        self.sampling = sampling

    @property
    def settings(self) -> Mapping[str, str]:
        """The digest of the text, and how texts were drawn."""
        return {
            **({"text": f"sha256:{sha256(self.text.encode())}"} if self.text else {}),
            **{name: str(value) for name, value in vars(self.sampling).items()},
        }

    def cases(self, requests: Sequence[EditRequest]) -> list[Any]:
        """Give the settings, then the prompts by request."""
        ordered = sorted(requests, key=lambda each: each.id)
        return [
            {**self.settings, "windows": f"{WINDOWS} x {WINDOW}"},
            *({"id": each.id, "prompts": list(_prompts(each))} for each in ordered),
        ]

    def observe(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        requests: Sequence[EditRequest],
        *,
        batch_size: int = 32,
        progress: Progress = silent,
        journal: Journal | None = None,
    ) -> TextSeen:
        """Read the text and write after the prompts, `batch_size` of them together.

        Raises RequestRefused, BaseMismatch, LimitExceeded, NonFinite, InputError.
        """
        journal = journal or Journal()
        windows = self._windows(model, tokenizer)
        seen = observe_forced(
            model,
            windows,
            batch_size=max(1, batch_size * _POSITIONS // WINDOW),
            progress=progress,
            journal=journal,
        )
        prompts = list(dict.fromkeys(each for request in requests for each in _prompts(request)))
        coded = dict(zip(prompts, tokens(tokenizer, prompts), strict=True)) if prompts else {}
        found = self._write(model, tokenizer, list(coded.values()), batch_size, progress, journal)
        return TextSeen(
            log_probs=tuple(value for item in windows for value in seen[item].log_probs),
            written={
                prompt: str(tokenizer.decode(list(found[ids]), skip_special_tokens=True))
                for prompt, ids in coded.items()
            },
        )

    def compare(
        self, requests: Sequence[EditRequest], before: TextSeen, after: TextSeen
    ) -> tuple[Score, ...]:
        """Score the text as one case, and the writing by request.

        Raises RequestRefused if two requests have one id, or were not those observed.
        """
        if len({request.id for request in requests}) < len(requests):
            raise RequestRefused("two requests have the same id")
        if not {each for request in requests for each in _prompts(request)} <= (
            before.written.keys() & after.written.keys()
        ) or len(before.log_probs) != len(after.log_probs):
            raise RequestRefused("the texts were observed with other requests, or are others")
        writing = tuple(_fluency(request, before, after) for request in requests)
        return (*_perplexities(before.log_probs, after.log_probs), *writing)

    def _windows(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase"
    ) -> list[Forced]:
        """The beginning of the text in windows; a last one of a single token is left out."""
        if not self.text:
            return []
        (ids,) = tokens(tokenizer, [self.text])
        width = min(WINDOW, context_length(model) or WINDOW)
        found = [ids[start : start + width] for start in range(0, len(ids), width)]
        windows = [Forced(window, 1) for window in found[:WINDOWS] if len(window) > 1]
        if not windows:
            raise RequestRefused("the text is too short to be scored", hint="give a longer text")
        return windows

    def _write(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        prompts: Sequence[Ids],
        batch_size: int,
        progress: Progress,
        journal: Journal,
    ) -> dict[Ids, Ids]:
        found = {ids: known for ids in prompts if (known := self._recalled(ids, model, journal))}
        left = sorted({ids for ids in prompts if ids not in found}, key=lambda ids: (len(ids), ids))
        for start in range(0, len(left), batch_size):
            batch = left[start : start + batch_size]
            written = dict(zip(batch, write(model, tokenizer, batch, self.sampling), strict=True))
            journal.put((self._question(ids), list(text)) for ids, text in written.items())
            found.update(written)
            progress("writing", start + len(batch), len(left))
        return found

    def _question(self, prompt: Ids) -> dict[str, Any]:
        return {**vars(self.sampling), "prompt": list(prompt)}

    def _recalled(self, prompt: Ids, model: "PreTrainedModel", journal: Journal) -> Ids | None:
        """What the journal says was written, if it is what can be written after the prompt."""
        text = journal.get(self._question(prompt))
        if not isinstance(text, list) or text[: len(prompt)] != list(prompt):
            return None
        vocabulary = model.config.vocab_size
        if len(text) > max(len(prompt), self.sampling.length):
            return None
        if any(type(token) is not int or not 0 <= token < vocabulary for token in text):
            return None
        return tuple(text)


def perplexity(log_probs: Sequence[float]) -> float:
    """exp of the mean of -log p, at most exp(690), which still is a score."""
    return math.exp(min(-math.fsum(log_probs) / len(log_probs), _HIGHEST))


def _perplexities(before: Sequence[float], after: Sequence[float]) -> list[Score]:
    if not before:
        return []
    first, then = perplexity(before), perplexity(after)
    return [
        Score(_CASE, "perplexity", first, then, len(before)),
        Score(_CASE, "perplexity.drift", 1.0, then / first, len(before)),
    ]


def _fluency(request: EditRequest, before: TextSeen, after: TextSeen) -> Score:
    prompts = _prompts(request)
    return Score(
        request.id,
        "fluency.ngram-entropy",
        mean([ngram_entropy(before.written[prompt]) for prompt in prompts]),
        mean([ngram_entropy(after.written[prompt]) for prompt in prompts]),
        len(prompts),
    )


def _prompts(request: EditRequest) -> tuple[str, ...]:
    return request.generation or (request.text,)
