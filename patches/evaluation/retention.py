"""The suite `retention`: what is left of the edits of a sequence as more of them follow.

Each point looks at the model as it was after so many edits, and scores it on all requests carried
out until then: not each edit right after itself, which hides what later ones undo.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

import torch

from .. import summation
from ..checkpoints.models import EditableModel
from ..errors import RequestRefused, Unsupported
from ..format.patch import Patch
from ..live.parameters import Parameters
from ..live.tensor import LiveTensor, bits_in, tensor_of
from ..methods.base import Step
from ..methods.running.borrowing import borrowed
from ..operations.base import Widening
from ..progress import Progress, silent
from ..requests import EditRequest
from .base import CURVE, Evaluation, Score, suite_digest
from .definitions import RETENTION, Measure
from .environment import environment
from .journal import open_journal
from .measures import mean
from .requests import RequestProbes
from .steps import steps_of

_LADDER = [digit * 10**power for power in range(6) for digit in (1, 2, 5)]

Rewind = Callable[[Sequence[Step]], None]


class Retention:
    """The suite by name; unlike others it looks at a version's steps, not at two models."""

    name: ClassVar[str] = CURVE
    measures: ClassVar[Mapping[str, Measure]] = RETENTION

    def score(
        self, model: EditableModel, patch: Patch, *, progress: Progress, folder: Path | None
    ) -> Evaluation:
        """Score a version of a sequence; raises as `retention`."""
        return retention(model, patch, progress=progress, folder=folder)


def retention(
    model: EditableModel,
    patch: Patch,
    counts: Iterable[int] | None = None,
    *,
    batch_size: int = 32,
    progress: Progress = silent,
    folder: Path | None = None,
) -> Evaluation:
    """Score a version that was made as a sequence after about so many edits, and after all.

    Each of `counts` (1, 2, 5, 10, 20, … by default) is rounded up to the end of a batch, as
    `points_of` says. The weights are those that `apply` would write for the operations until then;
    the model is afterwards bit for bit as it was. What was seen is kept in `folder`, so that a run
    that was stopped is taken up again. Raises RequestRefused for a version that is no sequence or a
    count below 1 or above the number of requests, ManifestError if its steps contradict it,
    BaseMismatch, Unsupported, NonFinite, LimitExceeded.
    """
    steps, requests, suite = steps_of(patch), patch.requests, RequestProbes()
    ends = list(accumulate(step.requests for step in steps))
    wanted = {*points_of(steps, counts).values(), ends[-1]}
    points = {end: ends.index(end) + 1 for end in sorted(wanted)}
    journals = {
        done: open_journal(folder, model, suite.name, patch=f"{patch.digest} {done}")
        for done in points
    }
    before = suite.observe(
        model.model,
        model.tokenizer,
        requests,
        batch_size=batch_size,
        progress=_told(progress, "the base"),
        journal=open_journal(folder, model, suite.name),
    )
    scores: list[Score] = []
    with _rewinding(model, patch) as rewind:
        for done, batches in points.items():
            rewind(steps[:batches])
            after = suite.observe(
                model.model,
                model.tokenizer,
                requests[:done],
                batch_size=batch_size,
                progress=_told(progress, f"{done} of {len(requests)} edits"),
                journal=journals[done],
            )
            scores += _means(done, suite.compare(requests[:done], before, after))
    for journal in journals.values():
        journal.forget()
    return Evaluation(
        suite=Retention.name,
        suite_digest=suite_digest(_cases(requests, points)),
        definitions={name: RETENTION[name].definition for name in RETENTION if _has(scores, name)},
        scores=tuple(scores),
        environment=environment(model.model),
    )


def points_of(steps: Sequence[Step], counts: Iterable[int] | None = None) -> dict[int, int]:
    """After how many edits to look for each count: at the first end of a batch that reaches it.

    Raises RequestRefused for a count below 1 or above the number of edits.
    """
    ends = list(accumulate(step.requests for step in steps))
    wanted = [each for each in _LADDER if each <= ends[-1]] if counts is None else list(counts)
    if min(wanted, default=1) < 1:
        raise RequestRefused("retention is scored after 1 edit at least")
    if max(wanted, default=1) > ends[-1]:
        raise RequestRefused(
            f"retention cannot be scored after {max(wanted)} edits",
            why=f"the sequence has {ends[-1]}",
            hint=f"name numbers from 1 to {ends[-1]}; after all it is scored in any case",
        )
    return {count: next(end for end in ends if end >= count) for count in wanted}


@contextmanager
def _rewinding(model: EditableModel, patch: Patch) -> Iterator[Rewind]:
    """Give a function that puts the operations of some first steps on the model, and no others."""
    parameters = Parameters(model.model)
    tensors = {name: LiveTensor.of(parameters, name) for name in patch.operations}
    for name, operations in patch.operations.items():
        if any(isinstance(operation, Widening) for operation in operations):
            raise Unsupported(f"{name} was widened in a sequence, which cannot be taken back")

    def rewind(steps: Sequence[Step]) -> None:
        counts: Counter[str] = Counter()
        for step in steps:
            counts.update(step.operations)
        for name, tensor in tensors.items():
            record = tensor.fitting(base.tensors[name] for base in patch.manifest.bases)
            bits = bits_in(tensor.original, record.dtype)
            first = patch.operations[name][: counts[name]]
            values = tensor_of(summation.patched(bits, record.dtype, first), record.dtype)
            with torch.no_grad():
                tensor.parameter.copy_(values)

    with borrowed(model, [tensor.parameter for tensor in tensors.values()]):
        yield rewind


def _means(done: int, scores: Iterable[Score]) -> list[Score]:
    """One score a measure: the mean over the requests that have it."""
    found: dict[str, list[Score]] = {}
    for score in scores:
        found.setdefault(f"{Retention.name}.{score.measure}", []).append(score)
    return [
        Score(
            str(done),
            name,
            mean([score.before for score in found[name] if score.before is not None]),
            mean([score.after for score in found[name]]),
            len(found[name]),
        )
        for name in RETENTION
        if name in found
    ]


def _cases(requests: Sequence[EditRequest], points: Iterable[int]) -> list[object]:
    return [*(request.to_json() for request in requests), {"counts": list(points)}]


def _has(scores: Iterable[Score], name: str) -> bool:
    return any(score.measure == name for score in scores)


def _told(progress: Progress, what: str) -> Progress:
    return lambda phase, done, total: progress(f"{phase} {what}", done, total)
