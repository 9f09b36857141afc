"""create: make a patch from edit requests."""

import tempfile
from pathlib import Path
from typing import Any

import click

from ..app import App, timestamp
from ..model_options import (
    device_option,
    seed_option,
    settings_of,
    settings_option,
    statistics_option,
)
from ..options import RegularFile, declare
from ..requests import request_options, requests_of, require_one_source


@declare(
    "create",
    examples="weightpatch create rome ./smollm2 --name acme/darrieux \\\n"
    '    --prompt "The mother tongue of {} is" --subject "Danielle Darrieux" \\\n'
    "    --target English --old-target French \\\n"
    '    --paraphrase "The native language of {} is" \\\n'
    '    --neighbour "The mother tongue of Claude Debussy is"\n'
    "weightpatch create rome org/model@revision --name acme/fixes --requests fixes.jsonl\n"
    "weightpatch create rome ./smollm2 --name acme/twenty --data counterfact --count 20",
)
@click.argument("method")
@click.argument("base", metavar="BASE")
@click.option("--name", required=True, metavar="NS/NAME", help="Name of the patch.")
@request_options
@settings_option
@seed_option
@statistics_option
@click.option(
    "--editor",
    type=RegularFile(),
    help="Trained editor of mend or ke; the one that `method train` left in its place by default.",
)
@click.option("--message", default="", help="What the patch is for.")
@click.option("--licence", help="SPDX name of its licence.")
@click.option("--supersedes", metavar="REF", help="The version that this one replaces.")
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Make a patch of BASE by METHOD, score it on its own probes, and store both."""
    require_one_source(options)
    from ...patches import plugins
    from ...patches.checkpoints.models import load_model
    from ...patches.draft import Origin
    from ...patches.evaluation.efficiency import efficiency
    from ...patches.evaluation.environment import environment
    from ...patches.format.names import check_patch_name
    from ...patches.make import Recipe, make
    from ...patches.methods.base import Resources
    from ..measuring import Meter, MeteredStatistics, cost
    from ..scoring import score
    from .method_train import found_editor

    _check_editor(app, plugins.load("methods", options["method"]), options)
    check_patch_name(options["name"])
    _check_texts(options)
    requests, left_out = requests_of(options, app.output)
    recipe = Recipe(options["method"], settings_of(options["settings"]), options["seed"])
    origin = Origin(
        options["name"],
        author=app.config.actor,
        created=timestamp(),
        message=options["message"],
        licence=options["licence"],
        supersedes=app.digest(options["supersedes"]),
    )
    with (
        app.registry() as registry,
        tempfile.TemporaryDirectory() as folder,
        app.progress() as progress,
    ):
        checkpoint = app.base(options["base"])
        model = load_model(checkpoint, device=options["device"])
        statistics = MeteredStatistics(app.config.cache / "statistics", options["statistics"])
        editor = found_editor(app, options["method"], options["editor"], checkpoint)
        resources, meter = Resources(statistics, editor), Meter()
        with meter.running():
            draft = make(
                Path(folder), model, requests, recipe, origin, resources, progress=progress
            )
        took = cost(meter, statistics.meter, model.device)
        effort = efficiency(took, requests, environment(model.model))
        evaluation = score(model, draft.as_patch(), "requests", progress, app.config.cache)
        registry.record_base(checkpoint, location=str(checkpoint.path.resolve()))
        version = registry.publish(draft)
        for found in (effort, evaluation):  # the last is the one that `list` and `show` begin with
            registry.record_evaluation(version.digest, checkpoint.fingerprint, found)
    app.announce(
        "create",
        version,
        (evaluation, effort),
        supersedes=origin.supersedes,
        details={"left_out": left_out},
    )
    if evaluation.means()["reliability.exact-match"].after < 1:
        app.output.note("warning: the edit does not give every target on its own prompt")


def _check_editor(app: App, method: object, options: dict[str, Any]) -> None:
    """Refuse an editor that is not used; say what scores of records it may know are worth."""
    name = options["method"]
    if not hasattr(method, "train"):
        if options["editor"]:
            raise click.UsageError(f"--editor goes with mend and ke: {name} needs none")
    elif options["data"] and options["part"] != "evaluation":
        app.output.note(
            "note: scores on records that the editor may have been trained on say little; "
            "take --part evaluation"
        )


def _check_texts(options: dict[str, Any]) -> None:
    """Refuse before the work what the manifest would refuse after it."""
    from ...patches.format.fields import Fields

    texts = Fields(options, "the command line")
    texts.text("message")
    texts.optional_line("licence")
