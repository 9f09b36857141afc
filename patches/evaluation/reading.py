"""Read an evaluation that came from outside."""

import re
from typing import Any

from ..errors import LimitExceeded, ManifestError
from ..format.fields import Fields
from .base import FORMAT, Evaluation, Score
from .measures import LARGEST, MEASURES

MAX_SCORES = 2_000_000
MAX_ENTRIES = 1_000
_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")


def read(record: object) -> Evaluation:
    """Check every field; raises ManifestError, or LimitExceeded."""
    fields = Fields(record, "an evaluation")
    if fields.take("format") != FORMAT:
        raise ManifestError(
            f"an evaluation must have the format {FORMAT!r}",
            hint="a newer weightpatch may be needed",
        )
    evaluation = Evaluation(
        suite=_name(fields.text("suite")),
        suite_digest=fields.digest("suite_digest"),
        definitions=_lines(fields.mapping("definitions"), "definitions"),
        scores=_scores(fields.items("scores")),
        environment=_lines(fields.mapping("environment"), "environment"),
    )
    fields.done()
    _check_whole(evaluation)
    return evaluation


def _check_whole(evaluation: Evaluation) -> None:
    for measure in evaluation.definitions:
        _name(measure)
    undefined = {score.measure for score in evaluation.scores} - set(evaluation.definitions)
    if undefined:
        raise ManifestError(f"an evaluation does not define its measure {min(undefined)!r}")
    if not evaluation.scores:
        raise ManifestError("an evaluation has no scores")
    if len({(score.case, score.measure) for score in evaluation.scores}) < len(evaluation.scores):
        raise ManifestError("an evaluation scores the same measure of a case twice")


def _scores(records: list[Any]) -> tuple[Score, ...]:
    if len(records) > MAX_SCORES:
        raise LimitExceeded(f"an evaluation has more than {MAX_SCORES} scores")
    return tuple(map(_score, records))


def _score(record: object) -> Score:
    fields = Fields(record, "a score")
    case, measure = fields.text("case"), fields.text("measure")
    before, after = fields.take("before"), fields.take("after")
    score = Score(
        case=_clean(case, "a score's case"),
        measure=measure,
        before=None if before is None else _number(before, measure),
        after=_number(after, measure),
        count=fields.integer("count", least=1),
    )
    fields.done()
    return score


def _number(value: object, measure: str) -> float:
    if type(value) not in (int, float) or not abs(value) <= LARGEST:  # type: ignore[arg-type]
        raise ManifestError(f"a score of {measure!r} must be a number of at most {LARGEST:g}")
    known = MEASURES.get(measure)
    if known and not known.low <= value <= known.high:  # type: ignore[operator]
        raise ManifestError(f"a score of {measure!r} must lie in {known.low:g} to {known.high:g}")
    return float(value)  # type: ignore[arg-type]


def _lines(record: dict[str, Any], what: str) -> dict[str, str]:
    """Check an object of texts, none of which may take over a terminal."""
    if len(record) > MAX_ENTRIES:
        raise LimitExceeded(f"{what} of an evaluation has more than {MAX_ENTRIES} entries")
    fields = Fields(record, f"{what} of an evaluation")
    lines = {_clean(name, what): _clean(fields.text(name), what) for name in record}
    for text in (*lines, *lines.values()):
        if not text.isprintable():
            raise ManifestError(f"{what} of an evaluation holds control characters")
    return lines


def _clean(text: str, what: str) -> str:
    if not text or "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ManifestError(f"{what} is empty, or holds a NUL or half a character")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or len(text) > 100:
        raise ManifestError(f"{text!r} is not a name as in rome.es")
    return text
