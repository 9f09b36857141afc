"""What a review measures here: a proposed version, and the one that it would follow."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..patches.errors import BaseMismatch, InputError
from .app import App
from .output import Output, fits_unwrapped
from .scoring import score, shown

if TYPE_CHECKING:
    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..patches.evaluation.base import Evaluation, Mean
    from ..patches.format.patch import Patch
    from ..patches.requests import EditRequest
    from ..registry.sharing.reviewing import Review

    Ask = Callable[["Patch", Sequence["EditRequest"]], "Evaluation"]

SUITE = "requests"


@dataclass(frozen=True)
class Answers:
    """What the proposed version and the one that it follows make of the same requests.

    `asked` names the version whose requests they are; `current` is None if it is not on this base.
    """

    asked: str
    proposed: "Evaluation"
    current: "Evaluation | None"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "requests_of": self.asked,
            "proposed": self.proposed.to_json(),
            "current": self.current.to_json() if self.current else None,
        }


@dataclass(frozen=True)
class Measurement:
    """What was measured here, on one base; the first answers are to the proposal's own requests."""

    checkpoint: "Checkpoint"
    answers: Sequence[Answers]

    @property
    def own(self) -> "Evaluation":
        """How the proposal does what it is made for."""
        return self.answers[0].proposed


def measure(app: App, seen: "Review", base: str | None, device: str) -> Measurement | None:
    """Ask the base, the version there and the proposed one; None, and said so, if that fails.

    Raises InputError if it fails on a base that was named.
    """
    try:
        return _measured(app, seen, base, device)
    except InputError as error:
        if base is not None:
            raise
        app.output.note(f"note: not scored here: {error.message}; name a base with --base")
        return None


def _measured(app: App, seen: "Review", base: str | None, device: str) -> Measurement:
    from ..patches.checkpoints.models import load_model

    checkpoint = app.base_for([seen.patch], base)
    model = load_model(checkpoint, device=device)
    cache = app.config.cache
    with app.progress() as progress:

        def ask(patch: "Patch", requests: "Sequence[EditRequest]") -> "Evaluation":
            return score(model, patch, SUITE, progress, cache, requests)

        answers = [
            Answers(asked.label, ask(seen.patch, asked.requests), _current(app, seen, ask, asked))
            for asked in _askers(seen)
        ]
    return Measurement(checkpoint, answers)


def _askers(seen: "Review") -> "Iterable[Patch]":
    """The versions whose requests are asked: both, if they are not the same ones."""
    yield seen.patch
    if seen.current and seen.current.requests != seen.patch.requests:
        yield seen.current


def _current(app: App, seen: "Review", ask: "Ask", asked: "Patch") -> "Evaluation | None":
    if seen.current is None:
        return None
    try:
        return ask(seen.current, asked.requests)
    except BaseMismatch as error:
        if asked is seen.patch:
            app.output.note(f"note: {seen.current.label} is not scored: {error.message}")
        return None


def score_table(output: Output, columns: "Mapping[str, Mapping[str, float | None]]") -> None:
    """A row for each measure, a column for each of what is named, with - where it has none.

    It is cut into several tables where the terminal is too narrow.
    """
    from ..patches.evaluation.measures import MEASURES

    order = list(MEASURES)
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    units = {name: MEASURES[name].unit if name in MEASURES else "" for name in names}
    cells = {
        title: [shown(column.get(name), units[name]) for name in names]
        for title, column in columns.items()
    }
    for number, titles in enumerate(_fitting(names, cells)):
        if number:
            output.line()
        lines = zip(names, *(cells[title] for title in titles), strict=True)
        output.table(["measure", *titles], list(lines))


def _fitting(
    names: Sequence[str], cells: "Mapping[str, Sequence[object]]"
) -> "Iterable[Sequence[str]]":
    """The columns that stand in each table, as many as fit beside the names; at least one."""
    titles: list[str] = []
    for title in cells:
        wider = [*titles, title]
        rows = list(zip(names, *(cells[one] for one in wider), strict=True))
        if titles and not fits_unwrapped(["measure", *wider], rows):
            yield titles
            wider = [title]
        titles = wider
    if titles:
        yield titles


def after(means: "Mapping[str, Mean]") -> dict[str, float | None]:
    """What each measure is after the edit."""
    return {name: mean.after for name, mean in means.items()}


def before(means: "Mapping[str, Mean]") -> dict[str, float | None]:
    """What each measure is of the base."""
    return {name: mean.before for name, mean in means.items()}
