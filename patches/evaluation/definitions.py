"""The measures of an edit: what each is called, what it is, where it comes from, its range."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType


@dataclass(frozen=True)
class Measure:
    """What a number means, in one sentence with its source, the range that it lies in, its unit."""

    definition: str
    low: float = 0.0
    high: float = 1.0
    unit: str = ""


_PORTABILITY = {
    "alias": "prompts that call the subject by another name",
    "reversed": "prompts that ask for the relation backwards",
    "one-hop": "prompts whose answer follows from the new fact in one step",
}


def _carried_over(kind: str, prompts: str) -> dict[str, Measure]:
    return {
        f"{kind}.exact-match": Measure(
            f"Share of {prompts} on which, under teacher forcing, every token of the prompt's own "
            "answer is the most likely one (portability of Yao et al. 2023, section 5, as exact "
            "match)."
        ),
        f"{kind}.token-mean": Measure(
            "Mean share of the answer's tokens that are the most likely ones under teacher "
            f"forcing on {prompts} (Yao et al. 2023, section 5; EasyEdit's portability accuracy)."
        ),
    }


ANSWERS: Mapping[str, Measure] = MappingProxyType(
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
        **_carried_over("portability", "portability prompts of all kinds together"),
        **{
            name: measure
            for kind, prompts in _PORTABILITY.items()
            for name, measure in _carried_over(f"portability.{kind}", prompts).items()
        },
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
        "locality.correct.exact-match": Measure(
            "Share of neighbourhood prompts on which, under teacher forcing, every token of the "
            "prompt's own answer is the most likely one (what Meng et al. 2022 ask of the "
            "neighbourhood, as exact match; correctness, not agreement with the base)."
        ),
        "locality.correct.token-mean": Measure(
            "Mean share of the tokens of a neighbourhood prompt's own answer that are the most "
            "likely ones under teacher forcing with it (what Meng et al. 2022 ask of the "
            "neighbourhood, as token mean; correctness, not agreement with the base)."
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
"""What the suite `requests` measures."""

TEXT: Mapping[str, Measure] = MappingProxyType(
    {
        "perplexity": Measure(
            "exp of the mean over a text's tokens of -log p, the text read in at most 32 windows "
            "of 256 tokens, the first of each not counted (as Yang et al. 2024, arXiv:2402.09656, "
            "watch for the collapse of an edited model); at most exp(690).",
            high=inf,
        ),
        "perplexity.drift": Measure(
            "Perplexity after the edit divided by the base's on the same text, so 1 before the "
            "edit (after Yang et al. 2024, arXiv:2402.09656).",
            high=inf,
        ),
        "fluency.ngram-entropy": Measure(
            "Mean over texts that the model writes of (2/3 H2 + 4/3 H3) / 2, where Hn is the "
            "Shannon entropy in bits of the frequencies of n words in a row; 100 tokens with the "
            "prompt, each drawn from the 5 likeliest (Meng et al. 2022, GE, after Zhang et al. "
            "2018; EasyEdit's ngram_entropy; words and punctuation marks are told apart by a rule "
            "of our own).",
            high=inf,
        ),
    }
)
"""What the suite `text` measures."""

EFFICIENCY: Mapping[str, Measure] = MappingProxyType(
    {
        "efficiency.seconds": Measure(
            "Seconds by the clock that making the edit took, divided by the number of requests, "
            "without what is done once for a base (efficiency of Yao et al. 2023).",
            high=inf,
            unit="s",
        ),
        "efficiency.cpu-seconds": Measure(
            "Seconds of all processor cores that making the edit took, divided by the number of "
            "requests, without what is done once for a base (efficiency of Yao et al. 2023).",
            high=inf,
            unit="s",
        ),
        "efficiency.once.seconds": Measure(
            "Seconds by the clock for what is done once for a base and then kept, such as key "
            "statistics; near 0 if it was kept already (apart from efficiency of Yao et al. 2023).",
            high=inf,
            unit="s",
        ),
        "efficiency.once.cpu-seconds": Measure(
            "Seconds of all processor cores for what is done once for a base and then kept "
            "(apart from efficiency of Yao et al. 2023).",
            high=inf,
            unit="s",
        ),
        "efficiency.peak-memory": Measure(
            "Most bytes that the process held at once until the edit was made, the model among "
            "them; on CUDA, most bytes of tensors on the device (efficiency of Yao et al. 2023).",
            high=inf,
            unit="B",
        ),
    }
)
"""What the suite `efficiency` holds."""

RETENTION: Mapping[str, Measure] = MappingProxyType(
    {
        f"retention.{name}": Measure(
            f"Mean of {name} over the requests carried out so far, on the model as it was after "
            "that many edits of a sequence, the number being the case (sequential editing of "
            "Huang et al. 2023, arXiv:2301.09785, and Yao et al. 2023)."
        )
        for name in (
            f"{property_}.{kind}"
            for property_ in ("reliability", "generalization", "locality")
            for kind in ("exact-match", "token-mean")
        )
    }
)
"""What the suite `retention` measures."""
