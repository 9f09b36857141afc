"""method train: train the editor that some methods need, once for a base."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..data import requests_from, skip_bad_option
from ..model_options import device_option, seed_option, settings_of, settings_option
from ..options import RegularFile, declare

if TYPE_CHECKING:
    from ...patches.checkpoints.checkpoint import Checkpoint
    from ...patches.methods.hypernetworks.artifact import Label
    from ...patches.requests import EditRequest

_FINGERPRINT = 16


@declare(
    "train",
    examples="weightpatch method train mend ./smollm2 --data counterfact\n"
    "weightpatch method train ke ./smollm2 --data counterfact:cf.json \\\n"
    "    --data knowedit:zsre.json --count 150 --set width=32",
)
@click.argument("method")
@click.argument("base", metavar="BASE")
@click.option(
    "--data",
    "specs",
    multiple=True,
    metavar="NAME[:FILE]",
    help="A data set to train on, its half for training editors; several are joined.",
)
@click.option("--count", type=click.IntRange(1), help="Records to draw of each; all by default.")
@click.option(
    "--requests", "file", type=RegularFile(), help="JSONL file of requests, instead of --data."
)
@skip_bad_option
@click.option("--steps", type=click.IntRange(1), help="Training steps; by method unless given.")
@settings_option
@seed_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where to write the editor; where `create` looks for it by default.",
)
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Train an editor of BASE for METHOD, mend or ke.

    It is one file, made for this very base. Some of the records are held out, to stop in time and
    to say how good it is: under "before" with the untrained network.
    """
    from ...patches import plugins
    from ...patches.checkpoints.models import load_model
    from ...patches.methods.hyperparameters import hyperparameters_from

    method = plugins.load("methods", options["method"])
    _require_trainable(method, options["method"])
    target = options["out"]
    if target is not None:
        _require_free(target)
    requests = _requests(app, options)
    with app.progress() as progress:
        checkpoint = app.base(options["base"])
        model = load_model(checkpoint, device=options["device"])
        settings = hyperparameters_from(method.training_defaults(model), _settings(options))
        start = perf_counter()
        trained = method().train(model, requests, settings, seed=options["seed"], progress=progress)
        seconds = perf_counter() - start
    if target is None:
        target = editor_file(app, method.name, checkpoint)
        target.parent.mkdir(parents=True, exist_ok=True)
    digest = trained.write(target)
    _show(app, trained.label, target, digest, seconds)


def editor_file(app: App, method: str, checkpoint: "Checkpoint") -> Path:
    """Where the editor of a base lies unless another place was named."""
    name = f"{method}-{checkpoint.fingerprint[:_FINGERPRINT]}.safetensors"
    return app.config.home / "editors" / name


def found_editor(app: App, method: str, named: Path | None, base: "Checkpoint") -> Path | None:
    """The editor that was named, or the one in its usual place; None if none is there."""
    from ...patches import plugins

    if named is not None or not hasattr(plugins.load("methods", method), "train"):
        return named
    usual = editor_file(app, method, base)
    return usual if usual.is_file() else None


def _require_trainable(method: object, name: str) -> None:
    from ...patches.errors import RequestRefused

    if not hasattr(method, "train"):
        raise RequestRefused(
            f"{name} is not trained",
            why="it finds every edit by itself",
            hint=f"use it right away: weightpatch create {name} BASE …; trained are mend and ke",
        )


def _require_free(target: Path) -> None:
    """Refuse a place that cannot be written to before the work, not after it."""
    from ...patches.errors import InputError, TargetExists

    if target.exists() or target.is_symlink():
        raise TargetExists(f"{target} is already there", hint="name a file that is not there yet")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent} is not a folder", hint="make it, or name another")


def _requests(app: App, options: dict[str, Any]) -> "tuple[EditRequest, ...]":
    from ...patches.requests import parse_requests

    specs, file = options["specs"], options["file"]
    if bool(specs) == bool(file):
        raise click.UsageError("give --data NAME[:FILE] or --requests FILE")
    if file:
        if options["count"] or options["skip_bad"]:
            raise click.UsageError("--count and --skip-bad go with --data")
        return parse_requests(file.read_bytes(), name=file.name)
    found: list[EditRequest] = []
    for number, spec in enumerate(specs, 1):
        some = requests_from(
            spec,
            options["count"],
            options["seed"],
            options["skip_bad"],
            part="training",
            note=app.output.note,
        )
        found += [replace(request, id=f"{number}:{request.id}") for request in some]
    return tuple(found)


def _settings(options: dict[str, Any]) -> dict[str, str]:
    given = settings_of(options["settings"])
    if options["steps"] is not None:
        given["steps"] = str(options["steps"])
    return given


def _show(app: App, label: "Label", target: Path, digest: str, seconds: float) -> None:
    app.output.data(
        "editor",
        {
            "file": str(target),
            "sha256": digest,
            "seconds": round(seconds, 3),
            "method": label.method,
            "base": label.base,
            "data": dict(label.data),
            "hyperparameters": dict(label.hyperparameters),
            "steps": label.steps,
            "kept": label.kept,
            "scores": {when: dict(scores) for when, scores in label.scores.items()},
        },
    )
    app.output.line(f"{target}  sha256:{digest}")
    app.output.line(
        f"{label.data['count']} records, {label.steps} steps in {seconds:.0f} s; "
        f"the editor of step {label.kept} did best on those held out"
    )
    before, after = label.scores["before"], label.scores["after"]
    app.output.line()
    app.output.table(
        ["held out", "before", "after"], [[name, before[name], after[name]] for name in after]
    )
