"""create: make a patch from edit requests."""

from typing import Any

import click

from ..app import App
from ..model_options import (
    device_option,
    seed_option,
    settings_of,
    settings_option,
    statistics_option,
)
from ..options import RegularFile, declare
from ..publishing import origin_of, origin_options, publish_scored, workplace
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
@origin_options
@request_options
@settings_option
@seed_option
@statistics_option
@click.option(
    "--editor",
    type=RegularFile(),
    help="Trained editor of mend or ke; the one that `method train` left in its place by default.",
)
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Make a patch of BASE by METHOD, score it on its own probes, and store both."""
    require_one_source(options)
    from ...patches import plugins
    from ...patches.checkpoints.models import load_model
    from ...patches.make import Recipe, make
    from ..making import made

    _check_editor(app, plugins.load("methods", options["method"]), options)
    origin = origin_of(app, options)
    requests, left_out = requests_of(options, app.output)
    recipe = Recipe(options["method"], settings_of(options["settings"]), options["seed"])
    with (
        app.registry() as registry,
        workplace(app) as folder,
        app.progress() as progress,
    ):
        checkpoint = app.base(options["base"])
        model = load_model(checkpoint, device=options["device"])
        draft, effort = made(
            app,
            model,
            options["method"],
            requests,
            options,
            lambda resources: make(
                folder, model, requests, recipe, origin, resources, progress=progress
            ),
        )
        version, evaluations = publish_scored(app, registry, draft, model, progress, (effort,))
    app.announce(
        "create",
        version,
        evaluations,
        supersedes=origin.supersedes,
        details={"left_out": left_out},
    )
    if evaluations[0].means()["reliability.exact-match"].after < 1:
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
