"""show: what a version is, what it was made from, and how well it works."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from ...registry.remotes.location import ON_HUB
from ..app import App, held, is_folder
from ..harm import warn
from ..hub_version import show_version
from ..made_from import relatives
from ..manifest_page import SHOWN, origin, show_operations
from ..options import declare
from ..scoring import show_evaluation, show_means, stored
from ..texts import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...patches.format.patch import Patch
    from ...registry.registry import BuildInfo, EvaluationInfo, TransferInfo, VersionInfo

CURVE = "retention"
"""The suite of which each point is shown, after so many edits, and never a mean of them."""
KNOWN = 1000


@declare(
    "show",
    examples="weightpatch show acme/darrieux\n"
    "weightpatch show ./folder --json\n"
    "weightpatch show hf://acme/darrieux@v2",
)
@click.argument("reference", metavar="REF")
def command(app: App, reference: str) -> None:
    """Show a version: its base, requests, operations, provenance, scores, and what became of it.

    Of a deleted version its tombstone is shown: who deleted it, when and why. Of one on the Hub,
    hf://NS/NAME or hf://NS/NAME@v2 (or a branch or commit), the manifest alone is read, and shown
    beside what is known here of it.
    """
    if reference.startswith(ON_HUB):
        show_version(app, reference)
        return
    info = app.known(reference)
    life = _life(app, info)
    if info and info.standing and info.standing.deleted and not is_folder(reference):
        _show_tombstone(app, info, life)
        return
    patch = app.patches([reference], to_read=True)[0]
    scores = app.evaluations(patch)
    harm = warn(app, patch.label, held(patch), own=patch.digest)
    app.output.data(
        "show",
        {
            "digest": patch.digest,
            "manifest": patch.manifest.to_json(),
            "requests": [request.to_json() for request in patch.requests],
            "evaluations": [_score_to_json(score) for score in scores],
            "holds_malicious": harm,
            **_life_to_json(life),
        },
    )
    _show_identity(app, patch, life)
    _show_requests(app, patch)
    show_operations(app.output, patch.manifest.operations)
    _show_scores(app, scores)
    _show_life(app, life)


@dataclass(frozen=True)
class _Life:
    """What the registry knows of a version: nothing, for one that it does not hold."""

    info: "VersionInfo | None" = None
    builds: "Sequence[BuildInfo]" = ()
    transfers: "Sequence[TransferInfo]" = ()


def _life(app: App, info: "VersionInfo | None") -> _Life:
    if info is None:
        return _Life()
    own = f"sha256:{info.digest}"
    with app.registry() as registry:
        builds, transfers = (
            registry.builds(own, limit=KNOWN),
            registry.transfers(own, limit=KNOWN),
        )
        return _Life(info, builds, transfers)


def _life_to_json(life: _Life) -> dict[str, Any]:
    info = life.info
    return {
        "standing": asdict(info.standing) if info and info.standing else None,
        "aliases": info.aliases if info else [],
        "superseded_by": info.superseded_by if info else [],
        "builds": [asdict(build) for build in life.builds],
        "transfers": [asdict(transfer) for transfer in life.transfers],
    }


def _show_tombstone(app: App, info: "VersionInfo", life: _Life) -> None:
    app.output.data(
        "show",
        {
            "digest": info.digest,
            "manifest": None,
            "version": info.label,
            **_life_to_json(life),
        },
    )
    app.output.fields(
        [
            ("version", info.label),
            ("digest", f"sha256:{info.digest}"),
            ("state", info.standing),
            ("base", ", ".join(info.bases)),
            ("author", info.author),
            ("created", info.created),
        ]
    )
    _show_life(app, life)


def _show_life(app: App, life: _Life) -> None:
    for title, columns, rows, known in (
        (
            "pushed and pulled",
            ["time", "who", "what", "remote", "revision"],
            [
                [moment(t.when), t.who, t.direction, t.remote, t.revision and t.revision[:12]]
                for t in life.transfers[:SHOWN]
            ],
            len(life.transfers),
        ),
        (
            "applied",
            ["time", "who", "base", "to"],
            [
                [moment(build.when), build.who, build.base, _place(build)]
                for build in life.builds[:SHOWN]
            ],
            len(life.builds),
        ),
    ):
        if rows:
            app.output.line()
            app.output.line(f"{title}, newest first")
        app.output.table(columns, rows)
        if known > SHOWN:
            app.output.line(f"… and {known - SHOWN} more{_bound(known)}; --json has them")


def _place(build: "BuildInfo") -> str:
    through = f" (through {', '.join(build.through)})" if build.through else ""
    return f"{build.location}{through}"


def _bound(known: int) -> str:
    """What is added to a number at which counting stops."""
    return " or even more" if known == KNOWN else ""


def _show_identity(app: App, patch: "Patch", life: _Life) -> None:
    info, manifest = life.info, patch.manifest
    known = app.versions_known(relatives(manifest))
    app.output.fields(
        [
            ("version", manifest.label),
            ("digest", f"sha256:{patch.digest}"),
            ("state", info and info.standing),
            ("aliases", ", ".join(info.aliases) if info else None),
            ("superseded by", ", ".join(info.superseded_by) if info else None),
            *origin(manifest, known),
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


def _score_to_json(info: "EvaluationInfo") -> dict[str, Any]:
    """The evaluation, of a curve with all of its points."""
    if info.suite != CURVE:
        return info.to_json()
    return {**info.to_json(), "points": [dict(vars(score)) for score in stored(info).scores]}


def _show_scores(app: App, evaluations: "list[EvaluationInfo]") -> None:
    for info in evaluations:
        origin = "measured here" if info.origin == "here" else f"as published at {info.origin}"
        app.output.line()
        app.output.line(f"scores of the suite {info.suite}, {origin}, {info.created}")
        app.output.line(f"on the base with fingerprint {info.base[:12]}…")
        if info.suite == CURVE:
            show_evaluation(app.output, stored(info))
        else:
            show_means(app.output, info.means)
