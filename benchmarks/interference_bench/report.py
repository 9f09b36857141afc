"""The experiment as tables in Markdown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from statistics import fmean, median

from harness.document import machine

from .cases import CLOSE, DRAWN, REWORDED
from .measuring import INTERFERENCE, SCORES, Outcome
from .separation import auc, caught, spearman

LIBRARIES = ("numpy", "torch", "transformers")
BOUNDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, inf)
THRESHOLDS: Mapping[str, Sequence[float]] = {
    INTERFERENCE: (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
    "overlap": (0.05, 0.1, 0.2, 0.3, 0.5, 0.7),
    "cosine": (0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
}
LABELS: Mapping[str, Callable[[Outcome], bool]] = {
    "lost": lambda one: one.lost,
    "halved": lambda one: one.halved,
}


@dataclass(frozen=True)
class Found:
    """What became of the victims in pairs, and of those in larger sets, of one method."""

    pairs: Sequence[Outcome]
    sets: Sequence[Outcome]


def markdown(found: Mapping[str, Found], *, seed: int, count: int) -> str:
    """All tables, method by method."""
    parts = [f"Sample {seed}: {count} records. {machine(1, LIBRARIES)}"]
    for method, each in found.items():
        outcomes = each.pairs
        parts += [
            f"### What happened: `{method}`",
            _by_kind(outcomes),
            f"### How well the weights tell: `{method}`",
            _by_interference(outcomes),
            _separation(outcomes),
            _thresholds(outcomes),
            f"### Many together: `{method}`",
            _sets(each.sets),
        ]
    return "\n\n".join(parts) + "\n"


def _by_kind(outcomes: Sequence[Outcome]) -> str:
    head = ["the other edit", "victims", "lost", "halved", "drop, median", "paraphrases"]
    rows = []
    for kind in (*CLOSE, DRAWN):
        some = [one for one in outcomes if one.kind == kind]
        if some:
            elsewhere = [o.drop_elsewhere for o in some if o.drop_elsewhere is not None]
            rows.append(
                [
                    kind,
                    len(some),
                    sum(one.lost for one in some),
                    sum(one.halved for one in some),
                    f"{median(one.drop for one in some):.2f}",
                    f"{median(elsewhere):.2f}" if elsewhere else "",
                    f"{median(one.scores[INTERFERENCE] for one in some):.2f}",
                ]
            )
    return _table([*head, "interference, median"], rows)


def _by_interference(outcomes: Sequence[Outcome]) -> str:
    head = ["interference", "victims", "lost", "halved", "drop, median", "drop, largest"]
    rows = []
    for low, high in pairwise(BOUNDS):
        some = [one for one in outcomes if low <= one.scores[INTERFERENCE] < high]
        if some:
            rows.append(
                [
                    f"{low} or more" if high == inf else f"{low} to {high}",
                    len(some),
                    f"{fmean(one.lost for one in some):.0%}",
                    f"{fmean(one.halved for one in some):.0%}",
                    f"{median(one.drop for one in some):.2f}",
                    f"{max(one.drop for one in some):.2f}",
                ]
            )
    return _table(head, rows)


def _separation(outcomes: Sequence[Outcome]) -> str:
    close = [one for one in outcomes if one.kind != DRAWN]
    head = ["score", "AUC, lost", "AUC, halved", "AUC, lost, close only", "Spearman with the drop"]
    rows = []
    for score, meaning in SCORES.items():
        values = [one.scores[score] for one in outcomes]
        rows.append(
            [
                f"{score}: {meaning}",
                *(
                    _shown(auc([one.scores[score] for one in some], list(map(label, some))))
                    for some, label in (
                        (outcomes, LABELS["lost"]),
                        (outcomes, LABELS["halved"]),
                        (close, LABELS["lost"]),
                    )
                ),
                f"{spearman(values, [one.drop for one in outcomes]):.2f}",
            ]
        )
    return _table(head, rows)


def _thresholds(outcomes: Sequence[Outcome]) -> str:
    head = ["reported from", "of the lost", "of the halved", "false alarms", f"of them {REWORDED}"]
    rows = []
    for score, thresholds in THRESHOLDS.items():
        values = [one.scores[score] for one in outcomes]
        for threshold in thresholds:
            lost = caught(values, [one.lost for one in outcomes], threshold)
            halved = caught(values, [one.halved for one in outcomes], threshold)
            either = caught(values, [_disturbed(one) for one in outcomes], threshold)
            reworded = sum(
                one.kind == REWORDED and one.scores[score] >= threshold and not _disturbed(one)
                for one in outcomes
            )
            rows.append(
                [
                    f"{score} {threshold}",
                    f"{lost.found} of {lost.disturbed}",
                    f"{halved.found} of {halved.disturbed}",
                    f"{either.alarms} of {either.undisturbed}",
                    reworded,
                ]
            )
    return _table(head, rows)


def _disturbed(one: Outcome) -> bool:
    return one.lost or one.halved


def _sets(outcomes: Sequence[Outcome]) -> str:
    head = ["edits", "victims", "lost", "halved", "all others' interference, median", "AUC, halved"]
    rows = []
    for size in dict.fromkeys(one.kind for one in outcomes):
        some = [one for one in outcomes if one.kind == size]
        scores = [one.scores[INTERFERENCE] for one in some]
        rows.append(
            [
                size,
                len(some),
                sum(one.lost for one in some),
                sum(one.halved for one in some),
                f"{median(scores):.2f}",
                _shown(auc(scores, [one.halved for one in some])),
            ]
        )
    return _table(head, rows)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)
