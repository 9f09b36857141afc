"""Scores, the evaluation that holds them, and what every suite promises."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar

from ..digests import sha256
from ..format import jsonfile
from ..progress import Progress, silent
from ..requests import EditRequest
from .definitions import Measure
from .journal import Journal
from .measures import AGGREGATES, mean

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FORMAT = "weightpatch.evaluation/1"
CURVE = "retention"
"""The suite whose cases are points of a curve, numbers of edits."""

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Score:
    """One measure of one case, as a mean over `count` prompts; `before` is the base's."""

    case: str
    measure: str
    before: float | None
    after: float
    count: int


class Mean(NamedTuple):
    """A measure's mean over the cases that have it."""

    before: float | None
    after: float
    cases: int


@dataclass(frozen=True)
class Evaluation:
    """All scores of one suite, with what each measure means and where they were computed.

    `suite_digest` is the sha256 of the cases as canonical JSON: evaluations with the same digest
    asked the same questions. A measure that no case has a prompt for is absent.
    """

    suite: str
    suite_digest: str
    definitions: Mapping[str, str]
    scores: tuple[Score, ...]
    environment: Mapping[str, str]

    def means(self) -> dict[str, Mean]:
        """Average each measure over cases (of means over prompts), and add the aggregates.

        The points of a curve are never averaged: of a retention it gives the last, after all edits.
        """
        scores: dict[str, list[Score]] = {}
        for score in _last_point(self.scores) if self.suite == CURVE else self.scores:
            scores.setdefault(score.measure, []).append(score)
        return _with_aggregates({measure: _mean(found) for measure, found in scores.items()})

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values; `from_json` reads them back unchanged."""
        return {
            "format": FORMAT,
            "suite": self.suite,
            "suite_digest": self.suite_digest,
            "definitions": dict(self.definitions),
            "scores": [dict(vars(score)) for score in self.scores],
            "environment": dict(self.environment),
        }

    @classmethod
    def from_json(cls, record: object) -> "Evaluation":
        """Read an evaluation strictly; raises ManifestError, or LimitExceeded."""
        from .reading import read

        return read(record)


class Suite(Protocol[Seen]):
    """A set of questions and the measures that the answers give.

    A model is observed twice, as it is and with the edit in place; what was seen of the base can be
    kept and compared with many edits. `Seen` is the suite's own affair. `settings` are recorded
    beside where a score was computed, as the seed of what is sampled.
    """

    name: ClassVar[str]
    measures: ClassVar[Mapping[str, Measure]]

    @property
    def settings(self) -> Mapping[str, str]:
        """Names and values, one line each."""

    def cases(self, requests: Sequence[EditRequest]) -> list[Any]:
        """Give what is asked as JSON values, in an order of the suite's own."""

    def observe(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        requests: Sequence[EditRequest],
        *,
        batch_size: int = 32,
        progress: Progress = silent,
        journal: Journal | None = None,
    ) -> Seen:
        """Ask the model what the journal does not know; it is left as it was. Raises InputError."""

    def compare(
        self, requests: Sequence[EditRequest], before: Seen, after: Seen
    ) -> tuple[Score, ...]:
        """Score what was seen; raises InputError if it was not seen with these requests."""


def evaluate(
    suite: Suite[Seen],
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    requests: Sequence[EditRequest],
    edited: AbstractContextManager[object],
    *,
    before: Seen | None = None,
    batch_size: int = 32,
    progress: Progress = silent,
    base_journal: Journal | None = None,
    edit_journal: Journal | None = None,
) -> Evaluation:
    """Score the edit that is in place within `edited`, as in `evaluate(…, patched(model, patch))`.

    `before` is what the suite observed of the base with these requests, if that is known already.
    With journals a run that was stopped is taken up where it was. Raises InputError.
    """
    from .environment import environment

    if before is None:
        before = suite.observe(
            model,
            tokenizer,
            requests,
            batch_size=batch_size,
            progress=_named(progress, "base"),
            journal=base_journal,
        )
    with edited:
        after = suite.observe(
            model,
            tokenizer,
            requests,
            batch_size=batch_size,
            progress=_named(progress, "edit"),
            journal=edit_journal,
        )
    scores = suite.compare(requests, before, after)
    return Evaluation(
        suite=suite.name,
        suite_digest=suite_digest(suite.cases(requests)),
        definitions=_definitions(suite.measures, {score.measure for score in scores}),
        scores=scores,
        environment={**environment(model), **suite.settings},
    )


def suite_digest(cases: list[Any]) -> str:
    """sha256 of the cases as canonical JSON (RFC 8785)."""
    return sha256(jsonfile.canonical(cases, what="a suite"))


def _named(progress: Progress, what: str) -> Progress:
    def named(phase: str, done: int, total: int | None) -> None:
        progress(f"{phase} the {what}", done, total)

    return named


def _definitions(measures: Mapping[str, Measure], scored: set[str]) -> dict[str, str]:
    made = {name for name, (parts, _) in AGGREGATES.items() if scored.issuperset(parts)}
    return {name: measures[name].definition for name in sorted(scored | made)}


def _last_point(scores: Sequence[Score]) -> list[Score]:
    """The scores after most edits; a case that is no number is no point."""
    points = [score for score in scores if score.case.isascii() and score.case.isdigit()]
    last = max((score.case for score in points), key=int, default="")
    return [score for score in points if score.case == last]


def _mean(scores: Iterable[Score]) -> Mean:
    scores = list(scores)
    before = [score.before for score in scores if score.before is not None]
    return Mean(
        before=mean(before) if len(before) == len(scores) else None,
        after=mean([score.after for score in scores]),
        cases=len(scores),
    )


def _with_aggregates(means: dict[str, Mean]) -> dict[str, Mean]:
    for name, (parts, combine) in AGGREGATES.items():
        found = [means[part] for part in parts if part in means]
        if len(found) < len(parts):
            continue
        before = [part.before for part in found if part.before is not None]
        means[name] = Mean(
            before=combine(before) if len(before) == len(found) else None,
            after=combine([part.after for part in found]),
            cases=min(part.cases for part in found),
        )
    return means
