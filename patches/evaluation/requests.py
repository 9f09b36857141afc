"""The suite `requests`: an edit is judged by the probes that its own requests bring along."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import BaseMismatch, RequestRefused
from ..progress import Progress, silent
from ..requests import PORTABILITY, EditRequest, Probe
from .base import Score
from .definitions import ANSWERS, Measure
from .journal import Journal
from .measures import exact_match, magnitude, mean, preferred, token_mean
from .teacher_forcing import Observations, observe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_Duel = tuple[Probe, Probe]
_ValueOf = Callable[[Observations], float]


class RequestProbes:
    """Rewrite prompt, paraphrases, portability prompts and neighbourhood of each request."""

    name: ClassVar[str] = "requests"
    measures: ClassVar[Mapping[str, Measure]] = ANSWERS
    settings: Mapping[str, str] = MappingProxyType({})

    def cases(self, requests: Sequence[EditRequest]) -> list[Any]:
        """Give the requests by id: in whatever order they come, they are the same suite."""
        return [request.to_json() for request in sorted(requests, key=lambda each: each.id)]

    def observe(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        requests: Sequence[EditRequest],
        *,
        batch_size: int = 32,
        progress: Progress = silent,
        journal: Journal | None = None,
    ) -> Observations:
        """Teacher-forced answers to everything that `compare` needs.

        Raises RequestRefused, BaseMismatch, LimitExceeded, NonFinite.
        """
        probes = [probe for request in requests for probe in _probes(request)]
        return observe(
            model, tokenizer, probes, batch_size=batch_size, progress=progress, journal=journal
        )

    def compare(
        self, requests: Sequence[EditRequest], before: Observations, after: Observations
    ) -> tuple[Score, ...]:
        """Score each request by each measure that it has probes for.

        Raises RequestRefused if two requests have one id, or were not those observed; BaseMismatch
        if before and after were observed with different tokenizers.
        """
        if len({request.id for request in requests}) < len(requests):
            raise RequestRefused("two requests have the same id")
        _require_same_tokens(requests, before, after)
        return tuple(
            Score(
                case=request.id,
                measure=measure,
                before=mean([value(before) for value in values]),
                after=mean([value(after) for value in values]),
                count=len(values),
            )
            for request in requests
            for measure, values in _values(request, before)
            if values
        )


def _values(request: EditRequest, base: Observations) -> Iterator[tuple[str, list[_ValueOf]]]:
    """For each measure, what to compute of a model's observations for each of its prompts."""
    for name, probes in _answered(request).items():
        expected = {probe: base[probe].target for probe in probes}
        yield from _agreements(name, probes, expected)
    expected = {probe: base[probe].argmax for probe in request.neighbourhood}
    yield from _agreements("locality", request.neighbourhood, expected)
    for letter, duels in _duels(request).items():
        yield f"rome.{letter}s", [_of_duel(preferred, duel) for duel in duels]
        yield f"rome.{letter}m", [_of_duel(magnitude, duel) for duel in duels]


def _agreements(
    name: str, probes: Iterable[Probe], expected: Mapping[Probe, Sequence[int]]
) -> Iterator[tuple[str, list[_ValueOf]]]:
    for kind, agreement in (("exact-match", exact_match), ("token-mean", token_mean)):
        yield f"{name}.{kind}", [_of_answer(agreement, each, expected[each]) for each in probes]


def _of_answer(
    agreement: Callable[[Sequence[int], Sequence[int]], float],
    probe: Probe,
    expected: Sequence[int],
) -> _ValueOf:
    return lambda observations: agreement(observations[probe].argmax, expected)


def _of_duel(compared: Callable[[float, float], float], duel: _Duel) -> _ValueOf:
    first, second = duel
    return lambda observations: compared(observations[first].nll, observations[second].nll)


def _answered(request: EditRequest) -> dict[str, Sequence[Probe]]:
    """Probes whose own answers are the right ones, by measure."""
    carried = {kind: request.portability.get(kind, ()) for kind in PORTABILITY}
    return {
        "reliability": (_rewrite(request),),
        "generalization": request.paraphrases,
        "portability": [probe for probes in carried.values() for probe in probes],
        **{f"portability.{kind}": probes for kind, probes in carried.items()},
        "locality.correct": request.neighbourhood,
    }


def _rewrite(request: EditRequest) -> Probe:
    return Probe(request.text, request.target)


def _duels(request: EditRequest) -> dict[str, list[_Duel]]:
    """Pairs of answers to one prompt, the one that should win first; equal answers make no pair."""
    old = request.old_target
    taught = (_rewrite(request), *request.paraphrases)
    pairs = [] if old is None else [(probe, Probe(probe.prompt, old)) for probe in taught]
    kept = [(probe, Probe(probe.prompt, request.target)) for probe in request.neighbourhood]
    duels = {"e": pairs[:1], "p": pairs[1:], "n": kept}
    return {
        letter: [(a, b) for a, b in found if a.target.strip() != b.target.strip()]
        for letter, found in duels.items()
    }


def _probes(request: EditRequest) -> Iterator[Probe]:
    for probes in _answered(request).values():
        yield from probes
    for found in _duels(request).values():
        for _, second in found:
            yield second


def _require_same_tokens(
    requests: Sequence[EditRequest], before: Observations, after: Observations
) -> None:
    for request in requests:
        for probe in _probes(request):
            if before[probe].target != after[probe].target:
                raise BaseMismatch(
                    f"the answer {probe.target!r} has other tokens after the edit than before",
                    why="the two models were observed with different tokenizers",
                )
