"""sweep: find the layer that a method should edit in a model."""

from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..data import Drawn, part_option, requests_from, skip_bad_option
from ..model_options import (
    device_option,
    seed_option,
    settings_of,
    settings_option,
    statistics_option,
)
from ..options import Parsed, RegularFile, declare
from ..requests import requests_in
from ..sweep_table import Judgement, judge, setting, show_sweep
from ..texts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...patches.checkpoints.models import EditableModel
    from ...patches.progress import Progress
    from ...patches.requests import EditRequest
    from ...patches.sweep import Plan, Trial


def _layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is not a list of layers as in 3,4,5") from None


@declare(
    "sweep",
    examples="weightpatch sweep rome ./smollm2 --known\n"
    "weightpatch sweep memit ./smollm2 --layers 2,3,4,5 --count 20 --set steps=10\n"
    "weightpatch sweep ft ./smollm2 --requests fixes.jsonl",
)
@click.argument("method")
@click.argument("base", metavar="BASE")
@click.option(
    "--data",
    default="counterfact",
    show_default=True,
    metavar="NAME[:FILE]",
    help="The data set that the edits are drawn from.",
)
@part_option("training")
@skip_bad_option
@click.option("--requests", "file", type=RegularFile(), help="JSONL file of requests instead.")
@click.option(
    "--count", type=click.IntRange(1), default=10, show_default=True, help="Edits a layer, at most."
)
@click.option("--known", is_flag=True, help="Only requests whose old answer the base gives.")
@click.option(
    "--layers",
    type=Parsed("layers", _layers),
    metavar="N,N…",
    help="Layers to try; a spread by default.",
)
@settings_option
@seed_option
@statistics_option
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Find the layer that METHOD should edit in BASE.

    Each request is carried out by itself at each layer in turn and scored on its own probes. A
    method that edits several layers gets as many as by default, beginning at each. Nothing is
    stored.
    """
    from ...patches import plugins
    from ...patches.checkpoints.models import load_model
    from ...patches.make import Recipe
    from ...patches.methods.base import Resources
    from ...patches.methods.statistics.key_statistics import KeyStatistics
    from ...patches.sweep import Plan, sweep

    plugins.load("methods", options["method"])
    recipe = Recipe(options["method"], settings_of(options["settings"]), options["seed"])
    offered, left_out = _requests(app, options)
    with app.progress() as progress:
        model = load_model(app.base(options["base"]), device=options["device"])
        plan = Plan.of(model, recipe, options["layers"])
        requests = _chosen(model, offered, options, progress)
        windows = counted(len(plan.windows), "place")
        edits = counted(plan.edits(requests), "edit")
        app.output.note(f"{counted(len(requests), 'request')} at {windows}: {edits}")
        resources = Resources(KeyStatistics(app.config.cache / "statistics", options["statistics"]))
        trials: list[Trial] = []
        for trial in sweep(model, requests, plan, resources, perf_counter, progress):
            app.output.note(f"{setting(plan, trial)}: {trial.seconds:.1f} s an edit")
            trials.append(trial)
    judgement = judge(trials)
    drawn = Drawn(requests, left_out)
    app.output.data("sweep", _document(options, drawn, plan, trials, judgement))
    show_sweep(app.output, plan, trials, judgement)


def _requests(app: App, options: dict[str, Any]) -> Drawn:
    """All that may be chosen from, in the order of the seed; a file's in its own."""
    from ...patches.datasets import sample

    if options["file"]:
        if options["skip_bad"]:
            raise click.UsageError("--skip-bad goes with --data")
        return Drawn(requests_in(options["file"]))
    found, left_out = requests_from(
        options["data"],
        None,
        options["seed"],
        options["skip_bad"],
        part=options["part"],
        note=app.output.note,
    )
    return Drawn(sample(found, len(found), options["seed"]), left_out)


def _chosen(
    model: "EditableModel",
    offered: "Sequence[EditRequest]",
    options: dict[str, Any],
    progress: "Progress",
) -> "tuple[EditRequest, ...]":
    from ...patches.sweep import known

    if options["known"]:
        return known(model, offered, options["count"], progress)
    return tuple(offered[: options["count"]])


def _document(
    options: dict[str, Any],
    drawn: Drawn,
    plan: "Plan",
    trials: "Sequence[Trial]",
    judgement: Judgement,
) -> dict[str, Any]:
    best = judgement.best
    return {
        "method": options["method"],
        "base": options["base"],
        "seed": options["seed"],
        "requests": [request.id for request in drawn.requests],
        "left_out": drawn.left_out,
        "criterion": judgement.measures,
        "best": None if best is None else setting(plan, trials[best]),
        "trials": [
            {
                **asdict(trial),
                "means": {name: mean.after for name, mean in trial.means.items()},
                "score": score,
            }
            for trial, score in zip(trials, judgement.scores, strict=True)
        ],
    }
