"""report: compare versions, or methods, in one table and one picture."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..app import App
from ..files import NEW, require_free, require_parent, write_new
from ..options import declare
from ..scoring import stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...patches.format.patch import Patch
    from ...patches.reports.comparison import Comparison, Point, Subject
    from ...registry.registry import EvaluationInfo

PICTURES = (".svg", ".png")
TABLES = (".md", ".csv")
TAKEN = f"{NEW}, or exchange it with --force"


class NewFile(click.Path):
    """A file to be written whose ending says what it becomes."""

    def __init__(self, *endings: str) -> None:
        super().__init__(path_type=Path)
        self.endings = endings

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """The path; fails with click's usage error."""
        path = Path(str(super().convert(str(value), param, ctx)))
        if path.suffix not in self.endings:
            self.fail(f"{path.name} must end in {' or '.join(self.endings)}", param, ctx)
        return path


@declare(
    "report",
    examples="weightpatch report acme/rome acme/memit\n"
    "weightpatch report acme/rome@1 acme/rome@2 --suite counterfact --measures reliability,es\n"
    "weightpatch report acme/rome acme/memit --picture scores.svg --out scores.md",
)
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@click.option("--suite", "suites", multiple=True, metavar="NAME", help="Only scores of this suite.")
@click.option("--measures", metavar="A,B,…", help="These measures, or all.")
@click.option("--picture", type=NewFile(*PICTURES), help="Draw a picture, as SVG or PNG.")
@click.option("--out", type=NewFile(*TABLES), help="Write the table as Markdown or CSV.")
@click.option("--plot", is_flag=True, help="Draw bars below the table, as on a terminal.")
@click.option("--force", is_flag=True, help="Exchange files that are there already.")
def command(
    app: App,
    references: tuple[str, ...],
    suites: tuple[str, ...],
    measures: str | None,
    picture: Path | None,
    out: Path | None,
    *,
    plot: bool,
    force: bool,
) -> None:
    """Set the stored scores of versions side by side: a row a version, a column a measure.

    Each measure comes from one suite for all versions, from the newest evaluation, or from an older
    one that asked what the other versions were asked. Nothing is scored anew; what makes versions
    hard to compare is said.
    """
    from ...patches.reports.comparison import compare
    from ..comparison_table import as_rows, on_terminal, show_bars, show_table

    for file in filter(None, (picture, out)):
        require_parent(file)
    named = [name.strip() for name in measures.split(",")] if measures else []
    subjects = [_subject(app, patch) for patch in app.patches(references, to_read=True)]
    comparison = compare(subjects, suites=suites, measures=[name for name in named if name])
    _write(comparison, picture, out, force=force)
    app.output.data(
        "report",
        {
            "columns": [vars(column) for column in comparison.columns],
            "versions": as_rows(comparison),
            "warnings": list(comparison.warnings),
        },
    )
    show_table(app.output, comparison)
    _explain(app, comparison)
    if comparison.columns and (plot or on_terminal()):
        show_bars(app.output, comparison)
    for file in filter(None, (picture, out)):
        app.output.note(f"wrote {file}")


def _subject(app: App, patch: "Patch") -> "Subject":
    from ...patches.format.patch_files import MANIFEST
    from ...patches.reports.comparison import RETENTION, Subject

    evaluations = app.evaluations(patch)
    sequences = [one for one in evaluations if one.suite == RETENTION]
    files = [record.size for record in patch.manifest.files.values()]
    return Subject(
        label=patch.label,
        digest=patch.digest,
        method=patch.manifest.method.name,
        base=patch.manifest.bases[0].label,
        requests=len(patch.requests),
        size=patch.files[MANIFEST].stat().st_size + sum(files),
        evaluations=evaluations,
        retention=_retention(sequences[0]) if sequences else {},
    )


def _retention(info: "EvaluationInfo") -> "Mapping[str, Sequence[Point]]":
    """The points of a retention by measure, read from its attestation; cases are numbers there."""
    from ...patches.reports.comparison import Point

    found: dict[str, list[Point]] = {}
    for score in stored(info).scores:
        if score.case.isascii() and score.case.isdigit() and len(score.case) < 10:
            point = Point(max(1, int(score.case)), score.before, score.after)
            found.setdefault(score.measure, []).append(point)
    return {name: sorted(points, key=lambda each: each.edits) for name, points in found.items()}


def _write(
    comparison: "Comparison", picture: Path | None, out: Path | None, *, force: bool
) -> None:
    from ...patches.reports.texts import to_csv, to_markdown

    for target in (out, picture):
        if target is not None and not force:
            require_free(target, hint=TAKEN)
    made = {}
    if out is not None:
        text = to_csv(comparison) if out.suffix == ".csv" else to_markdown(comparison)
        made[out] = text.encode("utf-8", errors="backslashreplace")
    if picture is not None:
        from ...patches.reports.picture import draw

        made[picture] = draw(comparison, picture.suffix.removeprefix("."))
    for file, data in made.items():
        if force:
            _exchange(file, data)
        else:
            write_new(file, [data], hint=TAKEN)


def _exchange(target: Path, data: bytes) -> None:
    """Write a file in one step, whether or not it is there."""
    partial = target.with_name(f".{target.name[:64]}.{os.getpid()}.partial")
    write_new(partial, [data])
    try:
        partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _explain(app: App, comparison: "Comparison") -> None:
    from ...patches.reports.texts import suites
    from ...registry.evaluations import HERE

    if comparison.columns:
        base = f"; base {comparison.base}" if comparison.base else ""
        app.output.line(f"suites: {suites(comparison)}{base}")
    else:
        app.output.note("no scores are stored of these versions; see weightpatch eval")
    for warning in comparison.warnings:
        app.output.note(f"warning: {warning}")
    for row in comparison.rows:
        told = {one.origin for one in row.chosen.values()} - {HERE}
        if told:
            app.output.note(
                f"note: scores of {row.subject.label} are as published at {', '.join(sorted(told))}"
            )
