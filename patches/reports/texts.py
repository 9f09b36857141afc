"""A comparison as text: headings and numbers, a table in Markdown, a table for spreadsheets."""

import csv
import io
from collections.abc import Iterator, Sequence

from ..evaluation.base import Mean
from ..format.markdown import escape, table, visible
from .comparison import Column, Comparison, Row

MISSING = "–"  # noqa: RUF001 - the dash of a table without a number
ARROW = "→"
BEFORE = "before the edit"
FACTS = ("version", "method", "base", "requests", "size")
_HEADINGS = {
    "rome.es": "ES",
    "rome.ps": "PS",
    "rome.ns": "NS",
    "rome.em": "EM",
    "rome.pm": "PM",
    "rome.nm": "NM",
    "rome.score": "S",
    "fluency.ngram-entropy": "fluency",
    "perplexity.drift": "ppl drift",
    "efficiency.seconds": "seconds",
    "efficiency.cpu-seconds": "CPU seconds",
    "efficiency.once.seconds": "seconds once",
    "efficiency.once.cpu-seconds": "CPU seconds once",
    "efficiency.peak-memory": "peak memory",
}
_LARGE = 1e4
_FORMULA = ("=", "+", "-", "@")


def heading(measure: str) -> str:
    """A short name for a column: `reliability`, `ES`, `locality (tokens)`."""
    if measure in _HEADINGS:
        return _HEADINGS[measure]
    if measure.endswith(".token-mean"):
        return f"{visible(measure.removesuffix('.token-mean'), 40)} (tokens)"
    return visible(measure.removesuffix(".exact-match"), 40)


def number(value: float | None, unit: str = "") -> str:
    """Three decimals, four digits of a large number, bytes as kB, MB or GB, or a dash."""
    if value is None:
        return MISSING
    if unit == "B":
        return size(value)
    return f"{value:.3f}" if abs(value) < _LARGE else f"{value:.4g}"


def size(value: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def parts(mean: Mean | None, column: Column, *, beside: bool) -> tuple[str, str]:
    """A cell: what stands before the arrow, empty where nothing does, and what after it."""
    if mean is None:
        return "", MISSING
    known = beside and mean.before is not None
    return number(mean.before, column.unit) if known else "", number(mean.after, column.unit)


def facts(row: Row) -> list[str]:
    """Version, method, base, number of requests and size; text from outside, as it is."""
    subject = row.subject
    return [
        subject.label,
        subject.method,
        subject.base,
        str(subject.requests),
        size(subject.size),
    ]


def suites(comparison: Comparison) -> str:
    """Which suite which measures are from: `requests: reliability, ES; text: fluency`."""
    found: dict[str, list[str]] = {}
    for column in comparison.columns:
        found.setdefault(column.suite, []).append(heading(column.measure))
    return "; ".join(f"{suite}: {', '.join(names)}" for suite, names in found.items())


def to_markdown(comparison: Comparison) -> str:
    """A table, what its columns are from, and the warnings; text from outside only shows.

    What all versions start from is the first row; where they start from several places, each cell
    holds before→after.
    """
    baseline = comparison.baseline
    rows = []
    if baseline is not None:
        shown = map(number, baseline, (column.unit for column in comparison.columns))
        rows.append([f"*{BEFORE}*", *[""] * (len(FACTS) - 1), *shown])
    for row in comparison.rows:
        cells = [
            parts(mean, column, beside=baseline is None)
            for mean, column in zip(row.means, comparison.columns, strict=True)
        ]
        rows.append(
            [
                *map(escape, facts(row)),
                *(f"{old}{ARROW}{new}" if old else new for old, new in cells),
            ]
        )
    header = [*FACTS, *(escape(heading(column.measure)) for column in comparison.columns)]
    paragraphs = [table(header, rows)]
    if comparison.columns:
        paragraphs.append(f"Suites: {escape(suites(comparison), 2_000)}.")
    paragraphs += [f"Warning: {escape(warning, 2_000)}." for warning in comparison.warnings]
    return "\n\n".join(paragraphs) + "\n"


def to_csv(comparison: Comparison) -> str:
    """One line a version, numbers in full, missing ones empty; no cell is a formula."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    names = ["version", "digest", "method", "base", "requests", "bytes"]
    for column in comparison.columns:
        names += [f"{column.measure} before", column.measure]
    writer.writerow(map(_inert, names))
    for row in comparison.rows:
        subject = row.subject
        texts = [subject.label, subject.digest, subject.method, subject.base]
        numbers = [str(subject.requests), str(subject.size), *_numbers(row.means)]
        writer.writerow([*map(_inert, texts), *numbers])
    return file.getvalue()


def _numbers(means: Sequence[Mean | None]) -> Iterator[str]:
    for mean in means:
        yield "" if mean is None or mean.before is None else repr(mean.before)
        yield "" if mean is None else repr(mean.after)


def _inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula, on one line."""
    shown = visible(text, 1_000)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
