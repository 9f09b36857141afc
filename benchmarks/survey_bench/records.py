"""Which records are edited, and which the trained editors learn from."""

from collections.abc import Sequence
from dataclasses import replace

from weightpatch.patches import datasets
from weightpatch.patches.requests import EditRequest

DATASETS = {"counterfact": "CounterFact", "knowedit": "ZsRE (KnowEdit)"}


def for_edits(dataset: str, count: int, seed: int) -> Sequence[EditRequest]:
    """`count` records drawn by `seed` from the first half of the shipped sample."""
    ours, _ = datasets.halves(datasets.load(dataset).requests)
    return datasets.sample(ours, count, seed)


def for_training() -> list[EditRequest]:
    """The second halves of both shipped samples: none of them is ever edited here."""
    found: list[EditRequest] = []
    for dataset in DATASETS:
        _, others = datasets.halves(datasets.load(dataset).requests)
        found += [replace(request, id=f"{dataset}:{request.id}") for request in others]
    return found
