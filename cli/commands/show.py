"""show: what a version is, what it was made from, and how well it works."""

from typing import TYPE_CHECKING

import click

from ..app import App
from ..options import declare
from ..scoring import show_means

if TYPE_CHECKING:
    from ...patches.format.patch import Patch
    from ...registry.registry import EvaluationInfo


@declare("show", examples="weightpatch show acme/darrieux\nweightpatch show ./folder --json")
@click.argument("reference", metavar="REF")
def command(app: App, reference: str) -> None:
    """Show a version: its base, requests, operations, provenance and scores."""
    patch = app.patches([reference])[0]
    scores = app.evaluations(patch)
    app.output.data(
        "show",
        {
            "digest": patch.digest,
            "manifest": patch.manifest.to_json(),
            "requests": [request.to_json() for request in patch.requests],
            "evaluations": [info.to_json() for info in scores],
        },
    )
    _show_identity(app, patch)
    _show_requests(app, patch)
    _show_operations(app, patch)
    _show_scores(app, scores)


def _show_identity(app: App, patch: "Patch") -> None:
    manifest = patch.manifest
    bases = [base.label for base in manifest.bases]
    app.output.fields(
        [
            ("version", manifest.label),
            ("digest", f"sha256:{patch.digest}"),
            ("base", ", ".join(bases)),
            ("method", f"{manifest.method.name} {manifest.method.version}"),
            ("author", manifest.author),
            ("created", manifest.created),
            ("licence", manifest.licence),
            ("message", manifest.message),
            ("parents", ", ".join(f"sha256:{parent[:12]}" for parent in manifest.parents)),
        ]
    )


def _show_requests(app: App, patch: "Patch") -> None:
    app.output.line()
    app.output.table(
        ["prompt", "target", "instead of", "paraphrases", "neighbours"],
        [
            [r.text, r.target, r.old_target, len(r.paraphrases), len(r.neighbourhood)]
            for r in patch.requests
        ],
    )


def _show_operations(app: App, patch: "Patch") -> None:
    app.output.line()
    app.output.table(
        ["tensor", "operation", "size", "norm", "of the weight's"],
        [
            [name, record.kind, record.size, record.norm, f"{record.relative_norm:.1%}"]
            for name, records in patch.manifest.operations.items()
            for record in records
        ],
    )


def _show_scores(app: App, evaluations: "list[EvaluationInfo]") -> None:
    for info in evaluations:
        origin = "measured here" if info.origin == "here" else f"as published at {info.origin}"
        app.output.line()
        app.output.line(f"scores of the suite {info.suite}, {origin}, {info.created}")
        app.output.line(f"on the base with fingerprint {info.base[:12]}…")
        show_means(app.output, info.means)
