"""How well a score tells two classes apart, and how it runs with what it should predict."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Caught:
    """At a threshold: what is rightly reported, what is wrongly, and how many there are of each."""

    threshold: float
    found: int
    disturbed: int
    alarms: int
    undisturbed: int


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The chance that one of the positive has a higher score than one of the rest, ties half.

    The area under the ROC curve, by Mann and Whitney's U. None if one of the classes is empty.
    """
    positive = np.asarray(labels, dtype=bool)
    count, rest = int(positive.sum()), int((~positive).sum())
    if not count or not rest:
        return None
    ranks = _ranks(np.asarray(scores))
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * rest))


def spearman(scores: Sequence[float], values: Sequence[float]) -> float:
    """Correlation of the ranks."""
    return float(np.corrcoef(_ranks(np.asarray(scores)), _ranks(np.asarray(values)))[0, 1])


def caught(scores: Sequence[float], labels: Sequence[bool], threshold: float) -> Caught:
    """Count what a threshold on the score reports."""
    reported = np.asarray(scores) >= threshold
    positive = np.asarray(labels, dtype=bool)
    return Caught(
        threshold,
        found=int((reported & positive).sum()),
        disturbed=int(positive.sum()),
        alarms=int((reported & ~positive).sum()),
        undisturbed=int((~positive).sum()),
    )


def _ranks(values: Numbers) -> Numbers:
    """From 1, equal values sharing their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: Numbers = np.cumsum(counts) - (counts - 1) / 2
    return means[places]
