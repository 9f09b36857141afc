"""What `eval --suite` and `--retention` ask of a version: checked before a model is loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..patches.errors import PluginMissing, RequestRefused
from ..patches.progress import Progress
from .scoring import OBSERVATIONS, score

if TYPE_CHECKING:
    from ..patches.checkpoints.models import EditableModel
    from ..patches.evaluation.base import Evaluation
    from ..patches.format.patch import Patch
    from ..patches.requests import EditRequest


@dataclass(frozen=True)
class Question:
    """A suite; with `requests` those of a data set, with `counts` those of a retention."""

    suite: str
    requests: "tuple[EditRequest, ...] | None" = None
    counts: tuple[int, ...] | None = None

    def ask(
        self, model: "EditableModel", patch: "Patch", progress: Progress, cache: Path
    ) -> "Evaluation":
        """Score a version; the model is left as it was. Raises InputError."""
        from ..patches.evaluation.retention import retention

        if self.counts is not None:
            folder = cache / OBSERVATIONS
            return retention(model, patch, self.counts, progress=progress, folder=folder)
        if self.requests is None:
            return score(model, patch, self.suite, progress, cache)
        # As the suite `requests` scores them, under the name of the data set.
        found = score(model, patch, "requests", progress, cache, self.requests)
        return replace(found, suite=self.suite)


Note = Callable[[str], None]


def questions(
    patch: "Patch", names: Sequence[str], counts: tuple[int, ...] | None, *, note: Note
) -> list[Question]:
    """What is asked of a version by suites, data sets (NAME or NAME:FILE) and retention counts.

    `note` gets told how many records of a data set were left out as flawed, and which counts lie
    inside a batch. Raises PluginMissing for a name that is neither, RequestRefused where a version
    carries out no request of a data set, was made as no sequence or has fewer edits than a count,
    and what loading the data set does.
    """
    from ..patches.evaluation.retention import Retention, points_of
    from ..patches.evaluation.steps import steps_of

    if counts is not None or Retention.name in names:
        for count, end in points_of(steps_of(patch), counts).items():
            if counts is not None and count != end:
                note(f"retention is scored after {end} edits: {count} lies inside a batch")
    found = [_question(patch, name, note) for name in dict.fromkeys(names)]
    if counts is None:
        return found
    return [
        *(one for one in found if one.suite != Retention.name),
        Question(Retention.name, counts=counts),
    ]


def measures_of(names: Sequence[str]) -> set[str]:
    """What suites of other packages measure; names that are no suite are left to `questions`."""
    from ..patches import plugins

    others = set(names).intersection(plugins.names("suites")).difference(plugins.BUILT_IN["suites"])
    return {measure for name in others for measure in plugins.load("suites", name).measures}


def _question(patch: "Patch", name: str, note: Note) -> Question:
    from ..patches import plugins

    data = name.partition(":")[0]
    suites, sets = plugins.names("suites"), plugins.names("datasets")
    if name in suites:
        plugins.load("suites", name)
        return Question(name)
    if data in sets:
        return Question(data, requests=_carried_out(patch, name, note))
    raise PluginMissing(
        f"no suite or data set named {data!r} is installed",
        why=f"suites: {', '.join(suites)}; data sets: {', '.join(sets)}",
        hint="check the spelling, or install the package that provides it",
    )


def _carried_out(patch: "Patch", spec: str, note: Note) -> "tuple[EditRequest, ...]":
    """The requests of a data set with the prompt, subject and target of one of the version's."""
    from ..patches.datasets import load

    own = {(one.text, one.subject, one.target) for one in patch.requests}
    data = load(spec, skip_bad=True)
    if data.refused:
        note(f"{spec}: {len(data.refused)} left out, the first for {data.refused[0]}")
    found = tuple(one for one in data.requests if (one.text, one.subject, one.target) in own)
    if not found:
        raise RequestRefused(
            f"{patch.label} carries out no request of {spec}",
            why=f"none of {len(data.requests)} has prompt, subject and target of one of its own",
            hint="make a version of them with weightpatch create METHOD BASE --data …",
        )
    return found
