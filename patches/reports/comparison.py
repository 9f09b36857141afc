"""Which evaluations of several versions are set side by side, and what keeps them apart."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import InputError
from ..evaluation.base import Mean
from ..evaluation.conditions import full_name
from ..evaluation.measures import MEASURES
from ..format.names import quoted

MAX_SUBJECTS = 100
ALL = "all"
SECONDS = "efficiency.seconds"
RETENTION = "retention"
MAIN = (
    "reliability.exact-match",
    "generalization.exact-match",
    "locality.exact-match",
    "portability.exact-match",
    "rome.es",
    "rome.ps",
    "rome.ns",
    "rome.score",
    "fluency.ngram-entropy",
    "perplexity.drift",
    SECONDS,
)
"""The measures that are shown unless others are asked for."""
_OF_ITS_OWN = frozenset({"efficiency", RETENTION})


class Stored(Protocol):
    """What a registry keeps of an evaluation."""

    @property
    def suite(self) -> str:
        """What asked."""

    @property
    def suite_digest(self) -> str:
        """sha256 of what was asked."""

    @property
    def base(self) -> str:
        """The fingerprint of the checkpoint that was scored."""

    @property
    def origin(self) -> str:
        """The place that it was pulled from, or "here"."""

    @property
    def means(self) -> Mapping[str, Mean]:
        """What came of it, by measure."""


@dataclass(frozen=True)
class Point:
    """A measure's mean after so many edits of a sequence."""

    edits: int
    before: float | None
    after: float


@dataclass(frozen=True)
class Subject:
    """One version: what it is, its evaluations (newest first), and its retention by measure."""

    label: str
    digest: str
    method: str
    base: str
    requests: int
    size: int
    evaluations: Sequence[Stored] = ()
    retention: Mapping[str, Sequence[Point]] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A measure and the suite that it is taken from."""

    measure: str
    suite: str

    @property
    def unit(self) -> str:
        """The unit, empty for a bare number."""
        known = MEASURES.get(self.measure)
        return known.unit if known else ""


@dataclass(frozen=True)
class Row:
    """A version with the evaluation chosen for each suite, and a mean or None for each column."""

    subject: Subject
    chosen: Mapping[str, Stored]
    means: tuple[Mean | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Versions as rows, measures as columns; `warnings` say what makes them hard to compare."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]

    @property
    def baseline(self) -> tuple[float | None, ...] | None:
        """What every version starts from, by column, or None if they start from several places."""
        found = []
        for number in range(len(self.columns)):
            means = [row.means[number] for row in self.rows]
            before = {mean.before for mean in means if mean is not None}
            if len(before) != 1:
                return None
            found.append(before.pop())
        return None if all(value is None for value in found) else tuple(found)

    @property
    def base(self) -> str | None:
        """The base of all versions, None if they have several."""
        bases = {row.subject.base for row in self.rows}
        return bases.pop() if len(bases) == 1 else None


def compare(
    subjects: Sequence[Subject],
    *,
    suites: Sequence[str] = (),
    measures: Sequence[str] = (),
) -> Comparison:
    """Set versions side by side, by the measures named (`all`, or short names), or by `MAIN`.

    Each measure is taken from one suite for all versions: the one that most of them have it from.
    Of a suite's evaluations that one counts which asked the same questions on the same base as most
    other versions were asked; the newest where several did. `suites` leaves out all others, but not
    the seconds of making. Raises InputError for too many versions, or a measure that none has.
    """
    if len(subjects) > MAX_SUBJECTS:
        raise InputError(f"more than {MAX_SUBJECTS} versions cannot be compared at once")
    known = dict.fromkeys(each.suite for subject in subjects for each in subject.evaluations)
    known.pop(RETENTION, None)
    wanted = [suite for suite in known if not suites or suite in (*suites, "efficiency")]
    for suite in suites:
        if suite not in (*known, RETENTION):
            raise InputError(
                f"no version here has an evaluation of the suite {quoted(suite)}",
                hint=f"score them first, as in weightpatch eval REF --suite {quoted(suite)}",
            )
    chosen = {suite: _choose(subjects, suite) for suite in wanted}
    columns = _columns(chosen, measures)
    rows = tuple(_row(subject, chosen, columns, at) for at, subject in enumerate(subjects))
    used = dict.fromkeys(column.suite for column in columns)
    warnings = tuple(one for suite in used for one in _warnings(suite, rows))
    return Comparison(columns, rows, warnings)


def _choose(subjects: Sequence[Subject], suite: str) -> list[Stored | None]:
    """For each version the evaluation that is likest to the others', the newest if several are."""
    offered = [[one for one in subject.evaluations if one.suite == suite] for subject in subjects]
    alike: Counter[object] = Counter()
    for found in offered:
        alike.update({_asked(one) for one in found} | {one.suite_digest for one in found})
    return [
        max(found, key=lambda one: (alike[_asked(one)], alike[one.suite_digest]), default=None)
        for found in offered
    ]


def _asked(one: Stored) -> tuple[str, str]:
    return one.suite_digest, one.base


def _columns(
    chosen: Mapping[str, Sequence[Stored | None]], measures: Sequence[str]
) -> tuple[Column, ...]:
    counts: dict[str, Counter[str]] = {}
    for suite, found in chosen.items():
        for measure in (measure for one in found if one for measure in one.means):
            counts.setdefault(measure, Counter())[suite] += 1
    order = {name: place for place, name in enumerate(MEASURES)}
    known = sorted(counts, key=lambda name: (order.get(name, len(order)), name))
    wanted = [full_name(measure) for measure in measures]
    for measure in wanted:
        if measure not in counts and measure != ALL:
            raise InputError(
                f"no version here has a score called {quoted(measure)}",
                hint=f"known are {', '.join(known)}"
                if known
                else "score them with weightpatch eval",
            )
    shown = wanted or [name for name in MAIN if name in counts]
    if ALL in wanted or not set(shown) - {SECONDS}:
        shown = known
    return tuple(Column(name, _likeliest(counts[name])) for name in dict.fromkeys(shown))


def _likeliest(suites: Counter[str]) -> str:
    return min(suites, key=lambda name: (-suites[name], name != "requests", name))


def _row(
    subject: Subject,
    chosen: Mapping[str, Sequence[Stored | None]],
    columns: Sequence[Column],
    at: int,
) -> Row:
    own = {suite: one for suite, found in chosen.items() if (one := found[at])}
    means = tuple(
        own[column.suite].means.get(column.measure) if column.suite in own else None
        for column in columns
    )
    return Row(subject, own, means)


def _warnings(suite: str, rows: Sequence[Row]) -> Iterable[str]:
    if suite in _OF_ITS_OWN:
        return
    found = [row.chosen[suite] for row in rows if suite in row.chosen]
    if len({one.suite_digest for one in found}) > 1:
        yield f"suite {suite}: the versions were asked different questions"
    if len({one.base for one in found}) > 1:
        yield f"suite {suite}: the versions were scored on different bases"
    if missing := [row.subject.label for row in rows if suite not in row.chosen]:
        yield f"suite {suite}: not scored were {', '.join(missing)}"
