"""method: which editing methods there are, and what each can be told."""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

import click

from ...patches.errors import WeightpatchError
from ..app import App
from ..options import declare
from . import method_train

if TYPE_CHECKING:
    from ...patches.checkpoints.models import EditableModel

BY_MODEL = "by model"
_UNLOADABLE = (
    ImportError, AttributeError, LookupError, TypeError, ValueError, SyntaxError, RuntimeError,
    OSError, WeightpatchError,
)  # fmt: skip


@click.group("method")
def command() -> None:
    """List the editing methods, and show what each can be told."""


@declare("list", examples="weightpatch method list\nweightpatch method list --json")
def list_methods(app: App) -> None:
    """List the installed methods and the papers that they come from.

    One that cannot be loaded is listed with the reason.
    """
    from ...patches import plugins

    found = [_described(name) for name in plugins.names("methods")]
    app.output.data("methods", {"methods": found})
    app.output.table(
        ["method", "what it does", "paper"],
        [
            [each["name"], each.get("title", "cannot be loaded"), each.get("paper", each["error"])]
            for each in found
        ],
        wrapped=["what it does"],
    )


@declare("show", examples="weightpatch method show rome\nweightpatch method show rome ./smollm2")
@click.argument("name", metavar="METHOD")
@click.argument("base", metavar="[BASE]", required=False)
def show(app: App, name: str, base: str | None) -> None:
    """Show a method and its hyperparameters, which `create` takes with --set.

    Of a method that is trained, also the settings that `method train` takes with --set. With BASE,
    defaults are those for that model; its weights are not read.
    """
    from ...patches import plugins

    method = plugins.load("methods", name)
    model = _outline(app, base)
    listed = _listed(method.Hyperparameters, model and method.defaults(model))
    trained = hasattr(method, "train")
    training = (
        _listed(method.TrainingSettings, model and method.training_defaults(model))
        if trained
        else None
    )
    described = _described(name)
    app.output.data(
        "method", {**described, "base": base, "hyperparameters": listed, "training": training}
    )
    app.output.fields(
        [(each, described[each]) for each in ("name", "title", "paper", "version")]
        + [("defaults", f"for {base}" if base else None)]
    )
    app.output.line()
    _show_listed(app, "hyperparameter", listed)
    if training is not None:
        app.output.line(f"\nweightpatch method train {name} BASE … --set NAME=VALUE:")
        _show_listed(app, "training setting", training)


def typed(value: object) -> str:
    """A hyperparameter's value as `--set` takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)


def _described(name: str) -> dict[str, Any]:
    from ...patches import plugins

    try:
        method = plugins.load("methods", name)
        texts = {each: str(getattr(method, each)) for each in ("title", "paper", "version")}
    except _UNLOADABLE as error:
        return {"name": name, "error": f"{type(error).__name__}: {error}"}
    return {"name": name, **texts, "error": None}


def _outline(app: App, base: str | None) -> "EditableModel | None":
    if base is None:
        return None
    from ...patches.checkpoints.models import outline

    return outline(app.base(base))


def _listed(kind: type, defaults: object | None) -> list[dict[str, Any]]:
    """The fields of `kind`, with `defaults`, or with those that are the same for every model."""
    from ...patches.methods.hyperparameters import explained

    texts = explained(kind)
    values = {
        each.name: each.default if defaults is None else getattr(defaults, each.name)
        for each in fields(kind)
        if defaults is not None or each.default is not MISSING
    }
    return [
        {
            "name": key,
            "default": values.get(key),
            "by_model": key not in values,
            "explanation": text,
        }
        for key, text in texts.items()
    ]


def _show_listed(app: App, heading: str, listed: list[dict[str, Any]]) -> None:
    app.output.table(
        [heading, "default", "what it is for"],
        [
            [
                each["name"],
                BY_MODEL if each["by_model"] else typed(each["default"]),
                each["explanation"],
            ]
            for each in listed
        ],
    )


command.add_command(list_methods)
command.add_command(show)
command.add_command(method_train.command)
