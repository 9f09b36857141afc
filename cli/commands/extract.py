"""extract: make a patch of the difference between two checkpoints."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..model_options import device_option
from ..options import declare
from ..output import TENSORS
from ..publishing import origin_of, origin_options, publish_asked, say_how_it_works, workplace
from ..requests import request_options, requests_of, require_one_source
from ..tensor_table import operation, percentage, tensor_table
from ..texts import counted, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...patches.checkpoints.checkpoint import Checkpoint
    from ...patches.extraction.summary import Share


@declare(
    "extract",
    examples="weightpatch extract ./smollm2 ./smollm2-edited --name acme/found \\\n"
    '    --prompt "The capital of {} is" --subject France --target Lyon --old-target Paris\n'
    "weightpatch extract org/model@revision ./edited --name acme/found \\\n"
    "    --requests fixes.jsonl --no-eval\n"
    "weightpatch extract org/model org/model-edited --name acme/found --requests fixes.jsonl",
)
@click.argument("base", metavar="BASE")
@click.argument("edited", metavar="EDITED")
@origin_options
@request_options
@click.option("--no-eval", is_flag=True, help="Do not score it now.")
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Make a patch of what EDITED differs in from BASE, score it, and store both.

    Each is a folder or a Hub id. The patch gives EDITED's weights back bit for bit, and each tensor
    takes the smallest operation that does: low-rank factors are recovered from rounded weights. The
    requests say what the edit was for, so that it can be judged.
    """
    _require_requests(options)
    from ...patches.extraction.configurations import remarks
    from ...patches.extraction.extract import extract
    from ...patches.extraction.summary import shares
    from ...patches.tools import versions

    origin = origin_of(app, options)
    requests, left_out = requests_of(options, app.output)
    with (
        app.registry() as registry,
        workplace(app) as folder,
        app.progress() as progress,
    ):
        base, edited = app.base(options["base"]), app.base(options["edited"])
        notes = remarks(base, edited)
        for note in notes:
            app.output.note(f"note: {note}")
        _require_model(base, scored=not options["no_eval"])
        draft = extract(
            base, edited, folder, requests, origin, versions(["numpy"]), progress=progress
        )
        found = shares(draft.as_patch())
        version, evaluations = publish_asked(
            app,
            registry,
            draft,
            base,
            progress,
            device=options["device"],
            scored=not options["no_eval"],
        )
        if not evaluations:
            app.remember(base, [registry.patch(f"sha256:{version.digest}")])
        delta = draft.manifest.files["delta.safetensors"].size
    details = {**_document(found, delta), "notes": notes, "left_out": left_out}
    app.announce("extract", version, evaluations, supersedes=origin.supersedes, details=details)
    _show(app, found, delta)
    say_how_it_works(app, version, evaluations)


def _require_requests(options: dict[str, Any]) -> None:
    """Refuse no request, or those from two places, and say why one is asked for."""
    if not any(options[name] for name in ("data", "file", "prompt", "subject", "target")):
        raise click.UsageError(
            "what was the edit for? A patch says what it should do, so that it can be judged: give "
            "--prompt, --subject and --target, or --requests FILE.jsonl or --data for many"
        )
    require_one_source(options)


def _require_model(base: "Checkpoint", *, scored: bool) -> None:
    """Before the long work, refuse a base that could not be scored."""
    if scored:
        from ...patches.checkpoints.models import outline

        outline(base)


def _document(found: "Sequence[Share]", delta: int) -> dict[str, Any]:
    return {
        "delta_bytes": delta,
        "dense_bytes": sum(share.dense for share in found),
        "tensors": [{**asdict(share), "ratio": share.ratio} for share in found],
    }


def _show(app: App, found: "Sequence[Share]", delta: int) -> None:
    """What each tensor takes, those that take most first, and the sum."""
    dense = sum(share.dense for share in found)
    app.output.line()
    tensor_table(
        app.output,
        ["tensor", "stored", "of the tensor", "operations"],
        [
            [
                share.tensor,
                size(share.stored),
                percentage(share.ratio),
                " + ".join(operation(one.kind, one.size) for one in share.operations),
            ]
            for share in found[:TENSORS]
        ],
    )
    if len(found) > TENSORS:
        app.output.line(f"… and {counted(len(found) - TENSORS, 'more tensor')}")
    app.output.line(
        f"delta: {size(delta)}, {percentage(delta / dense)} of the {size(dense)} "
        f"of {counted(len(found), 'changed tensor')}"
    )
