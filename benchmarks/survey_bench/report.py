"""The survey as tables in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median

from harness.document import machine

from .records import DATASETS
from .results import BATCH, ONCE, SEQUENCE, SINGLE, Run

LIBRARIES = ("numpy", "torch", "transformers", "peft")
SINGLES: Mapping[str, Mapping[str, str]] = {
    "counterfact": {
        "reliability": "reliability.exact-match",
        "generalization": "generalization.exact-match",
        "locality": "locality.exact-match",
        "still correct": "locality.correct.exact-match",
        "ES": "rome.es",
        "PS": "rome.ps",
        "NS": "rome.ns",
    },
    "knowedit": {
        "reliability": "reliability.exact-match",
        "token mean": "reliability.token-mean",
        "generalization": "generalization.exact-match",
        "token mean ": "generalization.token-mean",
        "locality": "locality.token-mean",
        "portability": "portability.exact-match",
        "token mean  ": "portability.token-mean",
    },
}
TOGETHER = {
    "reliability": "reliability.exact-match",
    "generalization": "generalization.exact-match",
    "locality": "locality.exact-match",
    "ES": "rome.es",
    "PS": "rome.ps",
    "NS": "rome.ns",
    "perplexity": "perplexity.drift",
    "entropy": "fluency.ngram-entropy",
}
BASE = "*none*"


def markdown(runs: Sequence[Run], *, seed: int, count: int) -> str:
    """All tables; `runs` in the order in which rows are to be listed."""
    head = f"Sample {seed}: {count} records of each. Seconds are of CPU time on one thread."
    parts = [f"{head} {machine(1, LIBRARIES)}"]
    if once := [run for run in runs if run.way == ONCE]:
        parts.append(f"### Once for a base\n\n{_once(once)}")
    for dataset, title in DATASETS.items():
        found = [run for run in runs if run.dataset == dataset and run.way == SINGLE]
        if found:
            parts.append(f"### Single edits: {title}\n\n{_singles(found, SINGLES[dataset])}")
    together = [run for run in runs if run.way in (BATCH, SEQUENCE)]
    if together:
        parts.append(f"### Batches and sequences: CounterFact\n\n{_together(together)}")
    return "\n\n".join(parts) + "\n"


def _singles(runs: Sequence[Run], columns: Mapping[str, str]) -> str:
    head = ["row", "edits", *columns, "CPU s", "process MB", "patch kB"]
    rows = [[BASE, "", *_means(_first(runs), columns, before=True), "", "", ""]]
    for name, found in _by_row(runs).items():
        done = [run for run in found if not run.refused]
        cells = ["" for _ in range(len(columns) + 3)]
        if done:
            cells = [
                *_means(done, columns),
                f"{median(run.cpu for run in done):.1f}",
                f"{max(run.memory for run in done) / 1e6:,.0f}",
                f"{median(run.size for run in done) / 1e3:,.0f}",
            ]
        edits = f"{len(done)}" if len(done) == len(found) else f"{len(done)} of {len(found)}"
        rows.append([f"`{name}`", edits, *cells])
    return _table(head, rows)


def _together(runs: Sequence[Run]) -> str:
    head = ["row", "", "edits", *TOGETHER, "CPU s each", "patch kB"]
    rows = []
    for name, found in _by_row(runs).items():
        for way in (BATCH, SEQUENCE):
            for run in sorted(
                (one for one in found if one.way == way), key=lambda one: int(one.case)
            ):
                cells = [run.refused, *[""] * (len(TOGETHER) + 1)]
                if not run.refused:
                    each = f"{run.cpu / int(run.case):.1f}" if run.cpu else ""
                    size = f"{run.size / 1e3:,.0f}" if run.size else ""
                    cells = [*_means([run], TOGETHER), each, size]
                rows.append([f"`{name}`", way, run.case, *cells])
    return _table(head, rows)


def _once(runs: Sequence[Run]) -> str:
    rows = [
        [f"`{run.row}`", run.case, f"{run.cpu:,.0f}", f"{run.memory / 1e6:,.0f}"] for run in runs
    ]
    return _table(["row", "", "CPU s", "process MB"], rows)


def _first(runs: Sequence[Run]) -> list[Run]:
    """The runs of the row that has the most."""
    return max(_by_row(runs).values(), key=len)


def _by_row(runs: Sequence[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.row, []).append(run)
    return found


def _means(
    runs: Sequence[Run], columns: Mapping[str, str], *, before: bool = False
) -> Iterator[str]:
    for measure in columns.values():
        pairs = [run.scores[measure] for run in runs if measure in run.scores]
        values = [pair[0] if before else pair[1] for pair in pairs]
        known = [value for value in values if value is not None]
        yield f"{fmean(known):.3f}" if known else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)
