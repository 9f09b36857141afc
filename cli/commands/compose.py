"""compose: make one patch of several."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ..app import App, matched
from ..model_options import device_option, settings_of, settings_option
from ..options import Parsed, declare
from ..output import Output
from ..publishing import origin_of, origin_options, publish_asked, workplace
from ..texts import counted, size
from .check import refuse_conflicts

if TYPE_CHECKING:
    from ...patches.checkpoints.checkpoint import Checkpoint
    from ...patches.composition.compose import Blend
    from ...patches.format.patch import Patch

MERGES = ("sum", "ties", "dare", "resolve")
_SHOWN = 10
"""Tensors and conflicts shown one by one to people; a program gets all of them."""

_IN_FACTORS = ("sum", "resolve")
"""The merges that leave low-rank parts low-rank."""


def _weights(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is no list of numbers as in 0.5,1,-2") from None


@declare(
    "compose",
    examples="weightpatch compose acme/capitals acme/tongues@2 --name acme/fixes\n"
    "weightpatch compose acme/capitals acme/tongues --weights 1,0.5 --name acme/softer\n"
    "weightpatch compose acme/capitals acme/tongues --merge resolve --name acme/solved\n"
    "weightpatch compose acme/one acme/two acme/three --merge ties --set density=0.3 \\\n"
    "    --name acme/merged --eval\n"
    "weightpatch compose acme/one acme/two --merge dare --set drop=0.9 --set seed=7 \\\n"
    "    --name acme/dropped\n"
    "weightpatch compose acme/fixes --compact --name acme/small",
)
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@origin_options
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered one by default.")
@click.option(
    "--merge",
    type=click.Choice(MERGES),
    default="sum",
    show_default=True,
    help="sum: exactly what applying them together gives. ties: trim, elect signs, average. dare: "
    "drop at random, rescale, sum. resolve: solve locate-and-edit patches again, all at once.",
)
@click.option(
    "--weights",
    type=Parsed("numbers", _weights),
    metavar="W,W,…",
    help="What each delta is multiplied with, in the order of the REFs; negative to take away.",
)
@settings_option
@click.option("--compact", is_flag=True, help="Merge low-rank parts where it changes no bit.")
@click.option("--allow-conflicts", is_flag=True, help="Compose patches that contradict each other.")
@click.option("--eval", "to_score", is_flag=True, help="Score the result on its probes right away.")
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Make one version of several: bit for bit what applying them together gives.

    With --weights or another --merge each edit does something else than alone: score the result.
    --set takes density and scale (ties); drop, scale and seed (dare); ridge, tolerance and values
    (resolve).
    """
    from ...patches.composition.compose import compose
    from ...patches.tools import versions

    _require_sense(options)
    origin = origin_of(app, options)
    patches = app.patches(options["references"])
    checkpoint = app.base_for(patches, options["base"])
    matched(patches, checkpoint)
    blend = _blend(app, options, patches, checkpoint)
    with (
        app.registry() as registry,
        workplace(app) as place,
        app.progress() as progress,
    ):
        folder = place / "draft"
        folder.mkdir()
        draft = compose(
            checkpoint, patches, folder, origin, versions(["numpy"]), blend, progress=progress
        )
        found = draft.manifest
        version, evaluations = publish_asked(
            app,
            registry,
            draft,
            checkpoint,
            progress,
            device=options["device"],
            scored=options["to_score"],
        )
    app.remember(checkpoint, patches)
    sampled = found.method.sampled
    stored = found.files["delta.safetensors"].size
    app.announce(
        "compose",
        version,
        evaluations,
        supersedes=origin.supersedes,
        details={
            "method": dict(found.method.hyperparameters),
            "bytes": stored,
            "found": dict(sampled),
        },
    )
    _show(app.output, sampled)
    parts = sum(map(len, found.operations.values()))
    app.output.line(
        f"{counted(len(found.parents), 'member')}, {counted(parts, 'part')} on "
        f"{counted(len(found.operations), 'tensor')}, {size(stored)}"
    )
    if not evaluations:
        _advise(app.output, blend, version.label)


def _require_sense(options: Mapping[str, Any]) -> None:
    """Fail with click's usage error for options that cannot be meant so."""
    count, weights = len(options["references"]), options["weights"]
    if options["compact"] and options["merge"] not in _IN_FACTORS:
        raise click.UsageError(
            f"--compact merges factors, and --merge {options['merge']} leaves none"
        )
    if count == 1 and options["merge"] == "sum" and not (weights or options["compact"]):
        raise click.UsageError(
            "name two REFs at least, or say what to do with one: --weights, --compact or --merge"
        )
    if weights and len(weights) != count:
        raise click.UsageError(
            f"--weights takes a number for each REF: {count}, not {len(weights)}"
        )


def _blend(
    app: App, options: Mapping[str, Any], patches: "list[Patch]", checkpoint: "Checkpoint"
) -> "Blend":
    """How to compose, what clashes being refused or allowed; raises ConflictFound."""
    from ...patches.composition.compose import Blend
    from ...patches.conflicts import check as conflicts

    allowed = None
    findings = conflicts.check(patches, base=checkpoint, conflicts_only=True)
    if options["allow_conflicts"]:
        allowed = [f"{' and '.join(each.patches)}: {each.sentence}" for each in findings]
        for sentence in allowed[:_SHOWN]:
            app.output.note(f"warning: {sentence}")
        if allowed:
            app.output.note(f"{counted(len(allowed), 'conflict')} allowed; patch.json says so")
    else:
        refuse_conflicts(findings, hint="choose one of them, or say --allow-conflicts")
    return Blend(
        options["merge"],
        options["weights"] or (),
        settings_of(options["settings"]),
        options["compact"],
        allowed,
    )


def _show(output: Output, sampled: Mapping[str, Any]) -> None:
    """What was solved and what was compacted, by tensor."""
    solved, compacted = sampled.get("solved", {}), sampled.get("compacted", {})
    output.table(
        ["solved", "keys", "rank", "condition", "farthest from its value", "norm beside sum"],
        [_solved(name, each) for name, each in list(solved.items())[:_SHOWN]],
    )
    output.table(
        ["compacted", "parts", "rank", "bytes"],
        [_compacted(name, each) for name, each in list(compacted.items())[:_SHOWN]],
    )
    left = max(len(solved), len(compacted)) - _SHOWN
    if left > 0:
        output.line(f"… and {counted(left, 'more tensor')}")


def _solved(name: str, found: Mapping[str, Any]) -> list[object]:
    return [
        name,
        found["keys"],
        found["rank"],
        "singular" if found["condition"] is None else f"{found['condition']:.3g}",
        f"{found['miss_of_sum']:.1%} → {found['miss']:.1%}",
        f"{found['growth']:.2f}",
    ]


def _compacted(name: str, found: Mapping[str, Any]) -> list[object]:
    before, after = size(found["nbytes_before"]), size(found["nbytes"])
    if found["nbytes"] == found["nbytes_before"]:
        return [name, found["parts"], str(found["rank"]), f"{before}: left, fewer change a bit"]
    ranks = f"{found['rank_before']} → {found['rank']}"
    return [name, found["parts"], ranks, f"{before} → {after}"]


def _advise(output: Output, blend: "Blend", label: str) -> None:
    if not blend.is_exact:
        output.note(
            "warning: each edit now does something else than alone; "
            f"score it with: weightpatch eval {label}"
        )
