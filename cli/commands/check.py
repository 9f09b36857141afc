"""check: what clashes between patches."""

from typing import TYPE_CHECKING

import click

from ...patches.errors import ConflictFound
from ..app import App
from ..options import declare

if TYPE_CHECKING:
    from ...patches.conflicts.check import Finding


@declare("check", examples="weightpatch check acme/capitals acme/tongues@2")
@click.argument("references", metavar="REF REF...", nargs=-1, required=True)
def command(app: App, references: tuple[str, ...]) -> None:
    """Find what clashes between patches, in their facts and in the weights that they change.

    Exit status 3 if there is a conflict; warnings and notes leave it 0.
    """
    from ...patches.conflicts import check as conflicts

    if len(references) < 2:
        raise click.UsageError("check needs two patches at least")
    findings = conflicts.check(app.patches(references, to_read=True))
    app.output.data("check", {"findings": [vars(finding) for finding in findings]})
    app.output.table(
        ["", "level", "between", "where", "finding"],
        [
            [f.severity.upper(), f.level, " + ".join(f.patches), f.where, f.sentence]
            for f in findings
        ],
    )
    refuse_conflicts(findings)
    if any(finding.where == conflicts.BASE for finding in findings):
        app.output.line("no conflict, if one base fits all of them")
    else:
        app.output.line("no conflict: they can be used together")


def refuse_conflicts(findings: "list[Finding]") -> None:
    """Raise ConflictFound if a finding is a conflict."""
    from ...patches.conflicts.check import CONFLICT

    grave = [finding for finding in findings if finding.severity == CONFLICT]
    if grave:
        first = grave[0]
        raise ConflictFound(
            f"{first.patches[0]} and {first.patches[1]} cannot be used together",
            why=first.sentence,
            hint="choose one of them",
        )
