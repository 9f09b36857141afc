"""The scores that a card claims in its model index; all of it is hostile."""

from collections.abc import Iterator, Mapping
from itertools import islice

from ...patches.evaluation.measures import LARGEST, MEASURES

MOST = 100
"""Entries of each list in it that are looked at."""


def read_scores(record: Mapping[str, object]) -> dict[str, float]:
    """The means that a card gives, by measure: of each the first, which is the newest.

    `record` is what the Hub says of a model, or has the metadata of its card as `cardData`. Only
    measures of ours count; what is no number, or none that the measure can be, is passed over.
    """
    scores: dict[str, float] = {}
    for model in _records(_index(record)):
        for result in _records(model.get("results")):
            for metric in _records(result.get("metrics")):
                measure, value = metric.get("type"), _number(metric.get("value"))
                if isinstance(measure, str) and value is not None and _can_be(measure, value):
                    scores.setdefault(measure, value)
    return scores


def _can_be(measure: str, value: float) -> bool:
    """Whether a measure of ours can have this value."""
    known = MEASURES.get(measure)
    return known is not None and known.low <= value <= known.high


def _index(record: Mapping[str, object]) -> object:
    """The model index, which stands beside the card's data, within it, or in both places."""
    if record.get("model-index"):
        return record["model-index"]
    card = record.get("cardData")
    return card.get("model-index") if isinstance(card, dict) else None


def _records(value: object) -> Iterator[Mapping[str, object]]:
    entries = islice(value, MOST) if isinstance(value, list) else ()
    return (entry for entry in entries if isinstance(entry, dict))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= LARGEST else None
