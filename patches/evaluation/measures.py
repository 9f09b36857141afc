"""The measures of an edit: what each is called, what it is, and its arithmetic."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Measure:
    """What a number means, in one sentence with its source, and the range that it lies in."""

    definition: str
    low: float = 0.0
    high: float = 1.0


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "reliability.exact-match": Measure(
            "Share of rewrite prompts on which, under teacher forcing, every token of the new "
            "target is the most likely one (reliability of Yao et al. 2023, as exact match)."
        ),
        "reliability.token-mean": Measure(
            "Mean share of the new target's tokens that are the most likely ones under teacher "
            "forcing on the rewrite prompt (Yao et al. 2023; EasyEdit's rewrite_acc)."
        ),
        "generalization.exact-match": Measure(
            "Share of paraphrases on which, under teacher forcing, every token of the target is "
            "the most likely one (generalization of Yao et al. 2023, as exact match)."
        ),
        "generalization.token-mean": Measure(
            "Mean share of the target's tokens that are the most likely ones under teacher "
            "forcing on a paraphrase (Yao et al. 2023; EasyEdit's rephrase_acc)."
        ),
        "locality.exact-match": Measure(
            "Share of neighbourhood prompts on which, under teacher forcing with the prompt's own "
            "answer, every most likely token is the base's (locality of Yao et al. 2023, as exact "
            "match; agreement with the base, not correctness, so 1 before the edit)."
        ),
        "locality.token-mean": Measure(
            "Mean share of most likely tokens equal to the base's, at the positions of a "
            "neighbourhood prompt's own answer under teacher forcing with it (Yao et al. 2023; "
            "EasyEdit's locality accuracy; agreement, not correctness, so 1 before the edit)."
        ),
        "rome.es": Measure(
            "Efficacy score: share of rewrite prompts with NLL(new) < NLL(old), NLL being the mean "
            "over an answer's tokens of -log p (Meng et al. 2022, ES)."
        ),
        "rome.em": Measure(
            "Efficacy magnitude: mean of exp(-NLL(new)) - exp(-NLL(old)) over rewrite prompts "
            "(Meng et al. 2022, EM).",
            low=-1.0,
        ),
        "rome.ps": Measure(
            "Paraphrase score: share of paraphrases with NLL(new) < NLL(old) (Meng et al. 2022, "
            "PS)."
        ),
        "rome.pm": Measure(
            "Paraphrase magnitude: mean of exp(-NLL(new)) - exp(-NLL(old)) over paraphrases "
            "(Meng et al. 2022, PM).",
            low=-1.0,
        ),
        "rome.ns": Measure(
            "Neighbourhood score: share of neighbourhood prompts with NLL(true) < NLL(new), true "
            "being the prompt's own answer and new the edit's target (Meng et al. 2022, NS)."
        ),
        "rome.nm": Measure(
            "Neighbourhood magnitude: mean of exp(-NLL(true)) - exp(-NLL(new)) over neighbourhood "
            "prompts (Meng et al. 2022, NM).",
            low=-1.0,
        ),
        "rome.score": Measure(
            "Harmonic mean of the means of rome.es, rome.ps and rome.ns over all cases (Meng et "
            "al. 2022, score S)."
        ),
    }
)


def exact_match(found: Sequence[int], expected: Sequence[int]) -> float:
    """1 if all tokens are the expected ones, else 0."""
    return float(tuple(found) == tuple(expected))


def token_mean(found: Sequence[int], expected: Sequence[int]) -> float:
    """Share of positions at which the token is the expected one."""
    return sum(map(int.__eq__, found, expected)) / len(expected)


def preferred(nll: float, other: float) -> float:
    """1 if the answer with `nll` is strictly the likelier of the two, else 0."""
    return float(nll < other)


def magnitude(nll: float, other: float) -> float:
    """exp(-nll) - exp(-other): by how much the first answer is the likelier."""
    return math.exp(-nll) - math.exp(-other)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, the same in any order of the values."""
    return math.fsum(values) / len(values)


def harmonic_mean(values: Sequence[float]) -> float:
    """Return n / Σ 1/x, or 0 if one of the values is 0."""
    return 0.0 if min(values) <= 0 else len(values) / math.fsum(1 / value for value in values)


AGGREGATES: Mapping[str, tuple[tuple[str, ...], Callable[[Sequence[float]], float]]] = (
    MappingProxyType({"rome.score": (("rome.es", "rome.ps", "rome.ns"), harmonic_mean)})
)
"""Measures of a whole evaluation, each with the measures whose means it is made from."""
