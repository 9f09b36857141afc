"""check: what clashes between patches."""

from typing import TYPE_CHECKING, Any

import click

from ...patches.errors import BaseMismatch, ConflictFound
from ..app import App
from ..model_options import device_option
from ..options import Parsed, declare
from ..scoring import OBSERVATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...patches.checkpoints.checkpoint import Checkpoint
    from ...patches.conflicts.check import Finding, Report, Thresholds
    from ...patches.format.patch import Patch
    from ..overview import Squares

ROWS = 50
"""Rows that people are shown; a program gets all findings."""


def _threshold(text: str) -> tuple[str, float]:
    from ...patches.conflicts.thresholds import DEFAULTS

    name, given, value = text.partition("=")
    if not given:
        raise ValueError(f"{text!r} is no NAME=VALUE as in interference=0.3")
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{value!r} is no number") from None
    DEFAULTS.changed({name.strip(): number})
    return name.strip(), number


@declare(
    "check",
    examples="weightpatch check acme/capitals acme/tongues@2\n"
    "weightpatch check acme/capitals acme/tongues ./darrieux --base ./smollm2 --behaviour\n"
    "weightpatch check acme/capitals acme/tongues --matrix --threshold interference=0.3",
)
@click.argument("references", metavar="REF REF...", nargs=-1, required=True)
@click.option("--base", metavar="BASE", help="Judge them as used on this folder or Hub id.")
@click.option(
    "--behaviour",
    is_flag=True,
    help="Ask the model, too: the probes of each patch, alone and together.",
)
@click.option(
    "--threshold",
    "settings",
    multiple=True,
    type=Parsed("threshold", _threshold),
    metavar="NAME=VALUE",
    help="interference, cosine or overlap from which on to warn, NAME_conflict to refuse; worse.",
)
@click.option("--matrix", is_flag=True, help="Show each patch with each other in numbers.")
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Find what clashes between patches, in their facts and in the weights that they change.

    With --behaviour also in what a model answers, on BASE or the base that the registry remembers.
    Exit status 3 if there is a conflict; warnings and notes leave it 0.
    """
    from ...patches.conflicts import check as conflicts
    from ...patches.conflicts.thresholds import DEFAULTS

    references = options["references"]
    if len(references) < 2:
        raise click.UsageError("check needs two patches at least")
    thresholds = DEFAULTS.changed(dict(options["settings"]))
    patches = app.patches(references, to_read=True)
    checkpoint = _base(app, patches, options["base"], asked=options["behaviour"])
    with app.progress() as progress:
        report = conflicts.examine(
            patches, base=checkpoint, thresholds=thresholds, progress=progress
        )
    if options["behaviour"] and checkpoint is not None:
        report = _with_behaviour(app, report, patches, checkpoint, thresholds, options["device"])
    labels = [patch.label for patch in patches]
    squares = _squares(patches) if options["matrix"] else None
    if app.output.as_json:
        app.output.data("check", _document(report, thresholds, labels, squares))
    else:
        _show(app, report, labels, squares)
    refuse_conflicts(report.findings)
    app.output.line(verdict(report, on_a_base=checkpoint is not None, asked=options["behaviour"]))


def refuse_conflicts(findings: "list[Finding]", *, hint: str = "choose one of them") -> None:
    """Raise ConflictFound, with this hint, if a finding is a conflict."""
    from ...patches.conflicts.check import CONFLICT

    grave = [finding for finding in findings if finding.severity == CONFLICT]
    if grave:
        first = grave[0]
        raise ConflictFound(
            f"{first.patches[0]} and {first.patches[1]} cannot be used together",
            why=first.sentence,
            hint=hint,
        )


def _base(
    app: App, patches: "Sequence[Patch]", spec: str | None, *, asked: bool
) -> "Checkpoint | None":
    """The base to judge on: the one given or, where the model is asked, the remembered one."""
    if spec is not None:
        return app.base(spec)
    return app.base_for(patches, None) if asked else None


def _with_behaviour(
    app: App,
    report: "Report",
    patches: "Sequence[Patch]",
    checkpoint: "Checkpoint",
    thresholds: "Thresholds",
    device: str,
) -> "Report":
    """The report with what a model answers; without, if a patch is not for this base."""
    from ...patches.checkpoints.models import load_model
    from ...patches.conflicts.behaviour import behaviour
    from ...patches.conflicts.report import merged

    model = load_model(checkpoint, device=device)
    cache = app.config.cache / OBSERVATIONS
    try:
        with app.progress() as progress:
            found = behaviour(
                model, patches, worse=thresholds.worse, progress=progress, folder=cache
            )
    except BaseMismatch as error:
        app.output.note(f"warning: the model was not asked: {error.message}")
        return report
    return merged(report, found)


def _squares(patches: "Sequence[Patch]") -> "Squares":
    from ...patches.conflicts.matrix import matrix

    return matrix(patches)


def _document(
    report: "Report", thresholds: "Thresholds", labels: "Sequence[str]", squares: "Squares | None"
) -> "Mapping[str, Any]":
    from ..overview import overview_json

    return {
        "findings": [vars(finding) for finding in report.findings],
        "left_out": report.left_out,
        "thresholds": thresholds.to_json(),
        **(overview_json(labels, squares) if squares is not None else {}),
    }


def _show(app: App, report: "Report", labels: "Sequence[str]", squares: "Squares | None") -> None:
    from ...patches.conflicts.findings import SEVERITIES
    from ..finding_table import finding_rows, finding_table
    from ..overview import overview

    rows = finding_rows(report.findings)
    finding_table(app.output, rows[:ROWS])
    if len(rows) > ROWS or report.left_out:
        counts = [(report.count(severity), severity) for severity in SEVERITIES]
        said = [f"{n:,} {severity}{'s' if n != 1 else ''}" for n, severity in counts if n]
        if rows:
            said.append(f"the {min(ROWS, len(rows))} gravest rows are shown")
        app.output.line(", ".join(said))
    if squares is not None:
        overview(app.output, labels, squares)


def verdict(report: "Report", *, on_a_base: bool, asked: bool) -> str:
    """What the report means, and what to do next."""
    from ...patches.conflicts.findings import BASE, NOT_COMPARED

    unknown = not on_a_base and any(found.where == BASE for found in report.findings)
    left = report.count(NOT_COMPARED)
    said = ["no conflict found" if left else "no conflict"]
    if unknown:
        said[0] += ", if one base fits all of them"
    said += _warned(report, asked=asked)
    if left:
        said.append(
            f"{left:,} pairs of deltas were not compared "
            "(all are with a threshold that refuses, as --threshold cosine_conflict=0.9)"
        )
    return "; ".join(said) if len(said) > 1 or unknown else f"{said[0]}: they can be used together"


def _warned(report: "Report", *, asked: bool) -> list[str]:
    """How many warnings say what may suffer; of weights alone, that a model can tell."""
    from ...patches.conflicts.findings import BASE, WARNING, WEIGHTS

    warnings = [found for found in report.findings if found.severity == WARNING]
    of_bases = sum(found.where == BASE for found in warnings)
    number = report.count(WARNING) - of_bases
    if not number:
        return []
    said = f"{number:,} {'warning says' if number == 1 else 'warnings say'} what may suffer"
    if asked or any(found.level != WEIGHTS for found in warnings):
        return [said]
    return [said, "try --behaviour"]
