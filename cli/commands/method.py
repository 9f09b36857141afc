"""method: which editing methods there are, and what each can be told."""

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

import click

from ...patches.errors import WeightpatchError
from ..app import App
from ..options import declare
from . import method_train

if TYPE_CHECKING:
    from ...patches.methods.base import Method

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

    With BASE, their defaults are those for that model; its weights are not read.
    """
    from ...patches import plugins
    from ...patches.methods.hyperparameters import explained

    method = plugins.load("methods", name)
    values = _defaults(app, method, base)
    texts = explained(method.Hyperparameters)
    listed = [
        {
            "name": key,
            "default": values.get(key),
            "by_model": key not in values,
            "explanation": text,
        }
        for key, text in texts.items()
    ]
    described = _described(name)
    app.output.data("method", {**described, "base": base, "hyperparameters": listed})
    app.output.fields(
        [(each, described[each]) for each in ("name", "title", "paper", "version")]
        + [("defaults", f"for {base}" if base else None)]
    )
    app.output.line()
    app.output.table(
        ["hyperparameter", "default", "what it is for"],
        [
            [each["name"], BY_MODEL if each["by_model"] else typed(each["default"]), text]
            for each, text in zip(listed, texts.values(), strict=True)
        ],
    )


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


def _defaults(app: App, method: "type[Method]", base: str | None) -> dict[str, Any]:
    """Default values by name; without a base, of those that are the same for every model."""
    if base is None:
        return {
            each.name: each.default
            for each in fields(method.Hyperparameters)
            if each.default is not MISSING
        }
    from ...patches.checkpoints.models import outline

    defaults = method.defaults(outline(app.base(base)))
    return {each.name: getattr(defaults, each.name) for each in fields(defaults)}


command.add_command(list_methods)
command.add_command(show)
command.add_command(method_train.command)
