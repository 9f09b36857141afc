"""sweep: find the layer that a method should edit in a model."""

from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..data import part_option
from ..model_options import (
    device_option,
    seed_option,
    settings_of,
    settings_option,
    statistics_option,
)
from ..options import RegularFile, declare
from ..output import Output, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...patches.checkpoints.models import EditableModel
    from ...patches.progress import Progress
    from ...patches.requests import EditRequest
    from ...patches.sweep import Plan, Trial

COLUMNS = {
    "reliability": "reliability.exact-match",
    "generalization": "generalization.exact-match",
    "locality": "locality.exact-match",
    "ES": "rome.es",
    "PS": "rome.ps",
    "NS": "rome.ns",
}


class Layers(click.ParamType[tuple[int, ...]]):
    """Layers with commas between them, as in 3,4,5."""

    name = "layers"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, ...]:
        """The numbers; fails with click's usage error."""
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of layers as in 3,4,5", param, ctx)


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
@click.option("--requests", "file", type=RegularFile(), help="JSONL file of requests instead.")
@click.option(
    "--count", type=click.IntRange(1), default=10, show_default=True, help="Edits a layer, at most."
)
@click.option("--known", is_flag=True, help="Only requests whose old answer the base gives.")
@click.option("--layers", type=Layers(), metavar="N,N…", help="Layers to try; a spread by default.")
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
    offered = _requests(options)
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
            app.output.note(f"{plan.field}={_text(trial)}: {trial.seconds:.1f} s an edit")
            trials.append(trial)
    _show(app.output, options, requests, plan, trials)


def _requests(options: dict[str, Any]) -> "tuple[EditRequest, ...]":
    """All that may be chosen from, in the order of the seed; a file's in its own."""
    from ...patches.datasets import halves, load, sample
    from ...patches.errors import RequestRefused
    from ...patches.requests import parse_requests

    if options["file"]:
        found = parse_requests(options["file"].read_bytes(), name=options["file"].name)
        if not found:
            raise RequestRefused(f"{options['file'].name} holds no request")
        return found
    whole = load(options["data"]).requests
    evaluation, training = halves(whole)
    part = {"all": whole, "evaluation": evaluation, "training": training}[options["part"]]
    return sample(part, len(part), options["seed"])


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


def _show(
    output: Output,
    options: dict[str, Any],
    requests: "Sequence[EditRequest]",
    plan: "Plan",
    trials: "Sequence[Trial]",
) -> None:
    from ...patches.sweep import criterion, score_of

    measures = criterion(trials)
    scores = [score_of(trial, measures) for trial in trials]
    best = max(range(len(trials)), key=lambda index: scores[index] or -1.0)
    found = scores[best] is not None
    setting = f"{plan.field}={_text(trials[best])}" if found else None
    output.data(
        "sweep",
        {
            "method": options["method"],
            "base": options["base"],
            "seed": options["seed"],
            "requests": [request.id for request in requests],
            "criterion": measures,
            "best": setting,
            "trials": [
                {**asdict(trial), "means": _after(trial), "score": score}
                for trial, score in zip(trials, scores, strict=True)
            ],
        },
    )
    shown = {
        name: key for name, key in COLUMNS.items() if any(key in each.means for each in trials)
    }
    rows = [
        [
            _text(trial),
            *(_after(trial).get(key) for key in shown.values()),
            score,
            trial.seconds,
            "best" if found and index == best else "",
        ]
        for index, (trial, score) in enumerate(zip(trials, scores, strict=True))
    ]
    output.table([plan.field, *shown, "score", "s", ""], rows)
    for trial in trials:
        if trial.error:
            output.note(f"warning: at {plan.field}={_text(trial)}, {trial.error}")
    if found:
        names = {key: name for name, key in COLUMNS.items()}
        words = ", ".join(names[each] for each in measures)
        output.line(f"\nscore: harmonic mean of {words}\nuse it with: --set {setting}")
    else:
        output.note("warning: there is no layer at which every request could be carried out")


def _after(trial: "Trial") -> dict[str, float]:
    return {name: mean.after for name, mean in trial.means.items()}


def _text(trial: "Trial") -> str:
    return ",".join(map(str, trial.layers))
