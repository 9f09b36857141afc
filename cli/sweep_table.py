"""A sweep for people: a row a place, the best marked, and the setting to use."""

from typing import TYPE_CHECKING, NamedTuple

from .output import Output, columns_of_screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..patches.sweep import Plan, Trial

COLUMNS = {
    "rel": "reliability.exact-match",
    "gen": "generalization.exact-match",
    "loc": "locality.exact-match",
    "ES": "rome.es",
    "PS": "rome.ps",
    "NS": "rome.ns",
}
LEGEND = "rel, gen, loc: exact match on the prompt, its paraphrases and its neighbours"
NARROW = 76
"""On a screen with fewer columns only the measures are shown that make up the score."""
BEST = "*"


class Judgement(NamedTuple):
    """The measures that count, each trial's score by them, and the best trial's place.

    `best` is None where no score is above 0.
    """

    measures: tuple[str, ...]
    scores: "tuple[float | None, ...]"
    best: int | None


def judge(trials: "Sequence[Trial]") -> Judgement:
    """Score the trials."""
    from ..patches.sweep import criterion, score_of

    measures = criterion(trials)
    scores = tuple(score_of(trial, measures) for trial in trials)
    best = max(range(len(trials)), key=lambda index: scores[index] or 0.0)
    return Judgement(measures, scores, best if scores[best] else None)


def setting(plan: "Plan", trial: "Trial") -> str:
    """The layers as `--set` takes them."""
    return f"{plan.field}={','.join(map(str, trial.layers))}"


def show_sweep(
    output: Output, plan: "Plan", trials: "Sequence[Trial]", judgement: Judgement
) -> None:
    """The table, what spoke against a trial, and what to do next."""
    shown = _shown(trials, judgement.measures)
    output.table(
        [f"  {plan.field}", *shown, "score", "s"],
        [
            [
                f"{BEST if index == judgement.best else ' '} {_place(trial)}",
                *(_after(trial).get(key) for key in shown.values()),
                judgement.scores[index],
                f"{trial.seconds:.1f}",
            ]
            for index, trial in enumerate(trials)
        ],
    )
    for trial in trials:
        if trial.error:
            output.note(f"warning: at {setting(plan, trial)}, {trial.error}")
    if judgement.best is not None:
        names = {key: name for name, key in COLUMNS.items()}
        words = ", ".join(names[each] for each in judgement.measures)
        output.line(f"\nscore: harmonic mean of {words}; {BEST} the best")
        if {"rel", "gen", "loc"} & set(shown):
            output.line(LEGEND)
        output.line(f"use it with: --set {setting(plan, trials[judgement.best])}")
    elif all(score is None for score in judgement.scores):
        output.note("warning: there is no layer at which every request could be carried out")
    else:
        output.note("warning: no layer carried the edits out; try more steps or other layers")


def _shown(trials: "Sequence[Trial]", measures: "Sequence[str]") -> dict[str, str]:
    """The measures that are shown, by heading."""
    narrow = columns_of_screen() < NARROW and bool(measures)
    return {
        name: key
        for name, key in COLUMNS.items()
        if (key in measures if narrow else any(key in each.means for each in trials))
    }


def _after(trial: "Trial") -> dict[str, float]:
    return {name: mean.after for name, mean in trial.means.items()}


def _place(trial: "Trial") -> str:
    first, last = trial.layers[0], trial.layers[-1]
    return str(first) if first == last else f"{first}-{last}"
