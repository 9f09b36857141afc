"""method train: train the editor that some methods need, once for a base."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..data import Drawn, requests_from, skip_bad_option
from ..files import require_free, require_parent
from ..model_options import device_option, seed_option, settings_of, settings_option
from ..options import RegularFile, declare
from ..requests import requests_in

if TYPE_CHECKING:
    from ...patches.checkpoints.checkpoint import Checkpoint
    from ...patches.methods.hypernetworks.artifact import Label, TrainedEditor
    from ...patches.requests import EditRequest

_DIGITS = 16
"""Of a digest, in the name of a file."""


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
        require_parent(target)
        require_free(target)
    requests, left_out = _requests(app, options)
    with app.progress() as progress:
        checkpoint = app.base(options["base"])
        model = load_model(checkpoint, device=options["device"])
        settings = hyperparameters_from(method.training_defaults(model), _settings(options))
        start = perf_counter()
        trained = method().train(model, requests, settings, seed=options["seed"], progress=progress)
        seconds = perf_counter() - start
    if target is None:
        target, digest = _put_in_its_place(app, trained, checkpoint)
    else:
        digest = trained.write(target)
    _show(app, trained.label, target, digest, seconds, left_out)


def found_editor(app: App, method: str, named: Path | None, base: "Checkpoint") -> Path | None:
    """The editor that was named, or the newest in the usual place; None if none is there."""
    from ...patches import plugins

    if named is not None or not hasattr(plugins.load("methods", method), "train"):
        return named
    form = re.compile(rf"{re.escape(_stem(method, base))}-[0-9a-f]{{{_DIGITS}}}\.safetensors")
    folder = _folder(app)
    names = folder.iterdir() if folder.is_dir() else ()
    found = [file for file in names if form.fullmatch(file.name) and file.is_file()]
    if not found:
        return None
    newest = max(found, key=lambda file: (file.stat().st_mtime_ns, file.name))
    if len(found) > 1:
        app.output.note(f"note: {len(found)} editors are there; taken is the newest, {newest.name}")
    return newest


def _put_in_its_place(
    app: App, trained: "TrainedEditor", checkpoint: "Checkpoint"
) -> tuple[Path, str]:
    """Write an editor where `create` looks for it, beside those that are there; its sha256."""
    folder = _folder(app)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as made:
        fresh = Path(made) / "editor.safetensors"
        digest = trained.write(fresh)
        stem = _stem(trained.label.method, checkpoint)
        target = folder / f"{stem}-{digest[:_DIGITS]}.safetensors"
        fresh.replace(target)
    return target, digest


def _folder(app: App) -> Path:
    return app.config.home / "editors"


def _stem(method: str, checkpoint: "Checkpoint") -> str:
    return f"{method}-{checkpoint.fingerprint[:_DIGITS]}"


def _require_trainable(method: object, name: str) -> None:
    from ...patches.errors import RequestRefused

    if not hasattr(method, "train"):
        raise RequestRefused(
            f"{name} is not trained",
            why="it finds every edit by itself",
            hint=f"use it right away: weightpatch create {name} BASE …; trained are mend and ke",
        )


def _requests(app: App, options: dict[str, Any]) -> Drawn:
    specs, file = options["specs"], options["file"]
    if bool(specs) == bool(file):
        raise click.UsageError("give --data NAME[:FILE] or --requests FILE")
    if file:
        if options["count"] or options["skip_bad"]:
            raise click.UsageError("--count and --skip-bad go with --data")
        return Drawn(requests_in(file))
    found: list[EditRequest] = []
    left_out = 0
    for number, spec in enumerate(specs, 1):
        some = requests_from(
            spec,
            options["count"],
            options["seed"],
            options["skip_bad"],
            part="training",
            note=app.output.note,
        )
        found += [replace(request, id=f"{number}:{request.id}") for request in some.requests]
        left_out += some.left_out
    return Drawn(tuple(found), left_out)


def _settings(options: dict[str, Any]) -> dict[str, str]:
    given = settings_of(options["settings"])
    if options["steps"] is not None:
        given["steps"] = str(options["steps"])
    return given


def _show(
    app: App, label: "Label", target: Path, digest: str, seconds: float, left_out: int
) -> None:
    app.output.data(
        "editor",
        {
            "file": str(target),
            "sha256": digest,
            "seconds": round(seconds, 3),
            "method": label.method,
            "base": label.base,
            "data": dict(label.data),
            "left_out": left_out,
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
