"""Score a version on a loaded base, and show what came of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..patches.progress import Progress
from .output import Output
from .texts import size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..patches.checkpoints.models import EditableModel
    from ..patches.evaluation.base import Evaluation, Mean
    from ..patches.format.patch import Patch
    from ..patches.requests import EditRequest
    from ..registry.registry import EvaluationInfo

OBSERVATIONS = "observations"
"""The folder of the cache in which answers of models are kept."""


def score(
    model: "EditableModel",
    patch: "Patch",
    suite: str,
    progress: Progress,
    cache: Path | None = None,
    requests: "Sequence[EditRequest] | None" = None,
) -> "Evaluation":
    """Run a suite on the base and on the patched model; the model is left as it was.

    It asks about `requests`, which are the patch's own unless given.

    With a `cache` the base is asked only what it was not asked before, and a run that was stopped
    is taken up where it was. What the patched model answered is kept no longer than that. The suite
    `retention` scores a version that was made as a sequence, batch by batch.
    """
    from ..patches import plugins
    from ..patches.evaluation.base import evaluate
    from ..patches.evaluation.journal import open_journal
    from ..patches.evaluation.retention import Retention
    from ..patches.live import patched

    folder = None if cache is None else cache / OBSERVATIONS
    asked = plugins.load("suites", suite)()
    if isinstance(asked, Retention):
        return asked.score(model, patch, progress=progress, folder=folder)
    edit = open_journal(folder, model, suite, patch=patch.digest)
    evaluation = evaluate(
        asked,
        model.model,
        model.tokenizer,
        patch.requests if requests is None else requests,
        patched(model.model, patch),
        progress=progress,
        base_journal=open_journal(folder, model, suite),
        edit_journal=edit,
    )
    edit.forget()
    return evaluation


def stored(info: "EvaluationInfo") -> "Evaluation":
    """All scores of a stored evaluation, read from its attestation; raises InputError, OSError."""
    from ..registry.attestations import Attestation

    return Attestation.from_bytes(info.path.read_bytes()).evaluation


def show_evaluation(output: Output, evaluation: "Evaluation") -> None:
    """The means of an evaluation or, for the steps of a sequence, a column for each."""
    from ..patches.evaluation.retention import Retention

    if evaluation.suite != Retention.name:
        show_means(output, evaluation.means())
        return
    after = {(each.measure, each.case): each.after for each in evaluation.scores}
    counts = list(dict.fromkeys(each.case for each in evaluation.scores))
    output.table(
        ["after edits", *counts],
        [
            [name.removeprefix(f"{Retention.name}."), *(after.get((name, each)) for each in counts)]
            for name in Retention.measures
            if name in evaluation.definitions
        ],
    )


def show_means(output: Output, means: "Mapping[str, Mean]") -> None:
    """A table of means before and after, in the order in which the measures are documented."""
    from ..patches.evaluation.measures import MEASURES

    order = list(MEASURES)
    known = sorted(means, key=lambda name: order.index(name) if name in order else len(order))
    units = {name: MEASURES[name].unit if name in MEASURES else "" for name in known}
    output.table(
        ["measure", "before", "after", "cases"],
        [
            [
                name,
                shown(means[name].before, units[name]),
                shown(means[name].after, units[name]),
                means[name].cases,
            ]
            for name in known
        ],
    )


def shown(value: float | None, unit: str) -> object:
    """A number as a person reads it: bytes as kB, MB or GB, large ones without decimals."""
    if value is None:
        return None
    if unit == "B":
        return size(int(value))
    if unit:
        return f"{value:.2f} {unit}"
    return value if abs(value) < 1000 else f"{value:.4g}"
