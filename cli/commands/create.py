"""create: make a patch from edit requests."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..app import App, timestamp
from ..options import SEED, RegularFile, declare

if TYPE_CHECKING:
    from ...patches.requests import EditRequest


@declare(
    "create",
    examples="weightpatch create rome ./smollm2 --name acme/darrieux \\\n"
    '    --prompt "The mother tongue of {} is" --subject "Danielle Darrieux" \\\n'
    "    --target English --old-target French \\\n"
    '    --paraphrase "The native language of {} is" \\\n'
    '    --neighbour "The mother tongue of Claude Debussy is"\n'
    "weightpatch create rome org/model@revision --name acme/fixes --requests fixes.jsonl",
)
@click.argument("method")
@click.argument("base", metavar="BASE")
@click.option("--name", required=True, metavar="NS/NAME", help="Name of the patch.")
@click.option("--prompt", help="What to complete, with {} or the subject itself.")
@click.option("--subject", help="What the edit is about.")
@click.option("--target", help="The answer it should give.")
@click.option("--old-target", help="The answer that the base gives.")
@click.option("--paraphrase", "paraphrases", multiple=True, help="The same in other words.")
@click.option(
    "--neighbour",
    "neighbours",
    multiple=True,
    metavar="PROMPT[=ANSWER]",
    help="What must not change; its answer is --old-target unless given.",
)
@click.option(
    "--requests",
    "file",
    type=RegularFile(),
    help="JSONL file of requests, instead of --prompt, --subject and --target.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A hyperparameter.")
@click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Seed of all that is sampled."
)
@click.option(
    "--statistics",
    type=RegularFile(),
    help="Text for the key statistics; the model samples its own by default.",
)
@click.option("--message", default="", help="What the patch is for.")
@click.option("--licence", help="SPDX name of its licence.")
@click.option("--supersedes", metavar="REF", help="The version that this one replaces.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Make a patch of BASE by METHOD, score it on its own probes, and store both."""
    from ...patches import plugins
    from ...patches.checkpoints.models import load_model
    from ...patches.draft import Origin
    from ...patches.format.names import check_patch_name
    from ...patches.make import Recipe, make
    from ...patches.methods.base import Resources
    from ...patches.methods.statistics.key_statistics import KeyStatistics
    from ..scoring import score

    plugins.load("methods", options["method"])
    check_patch_name(options["name"])
    _check_texts(options)
    requests = _requests(options)
    recipe = Recipe(options["method"], _settings(options["settings"]), options["seed"])
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
        resources = Resources(
            KeyStatistics(app.config.cache / "statistics", text=options["statistics"])
        )
        draft = make(Path(folder), model, requests, recipe, origin, resources, progress=progress)
        evaluation = score(model, draft.as_patch(), "requests", progress)
        registry.record_base(checkpoint, location=str(checkpoint.path.resolve()))
        version = registry.publish(draft)
        registry.record_evaluation(version.digest, checkpoint.fingerprint, evaluation)
    app.announce("create", version, evaluation, supersedes=origin.supersedes)
    if evaluation.means()["reliability.exact-match"].after < 1:
        app.output.note("warning: the edit does not give every target on its own prompt")


def _requests(options: dict[str, Any]) -> "tuple[EditRequest, ...]":
    from ...patches.requests import EditRequest, parse_requests

    single = ("prompt", "subject", "target")
    if options["file"]:
        if any(options[name] for name in single):
            raise click.UsageError("--requests goes without --prompt, --subject and --target")
        return parse_requests(options["file"].read_bytes(), name=options["file"].name)
    for name in single:
        if not options[name]:
            raise click.UsageError(f"--{name} is missing (or --requests FILE for many)")
    record: dict[str, Any] = {name: options[name] for name in (*single, "old_target")}
    record["paraphrases"] = list(options["paraphrases"])
    record["neighbourhood"] = [_neighbour(text) for text in options["neighbours"]]
    return (EditRequest.parse(record),)


def _check_texts(options: dict[str, Any]) -> None:
    """Refuse before the work what the manifest would refuse after it."""
    from ...patches.format.fields import Fields

    texts = Fields(options, "the command line")
    texts.text("message")
    texts.optional_line("licence")


def _neighbour(text: str) -> dict[str, str]:
    prompt, separator, answer = text.partition("=")
    return {"prompt": prompt, "target": answer} if separator else {"prompt": prompt}


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise click.UsageError(f"--set takes KEY=VALUE, not {pair!r}")
    return dict(pair.split("=", 1) for pair in pairs)
