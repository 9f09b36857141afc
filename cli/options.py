"""How a command is declared: its examples, and the options that all have."""

from collections.abc import Callable
from functools import wraps
from inspect import cleandoc
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from ..patches.errors import InputError
from .app import App
from .config import read_config
from .output import Output

P = ParamSpec("P")
T = TypeVar("T")

LIMIT = click.IntRange(1, 1000)
SEED = click.IntRange(0, 2**53 - 1)
"""Whole numbers that JSON can hold."""


class RegularFile(click.Path):
    """A file that is there to be read: no folder, no pipe."""

    def __init__(self) -> None:
        super().__init__(exists=True, path_type=Path)

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401
        """The path; fails with click's usage error."""
        path = Path(str(super().convert(value, param, ctx)))
        if not path.is_file():
            self.fail(f"{click.format_filename(path)} is not a regular file", param, ctx)
        return path


class Parsed(click.ParamType[T]):
    """What a function makes of the text of an option; its ValueError or InputError says why not."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> T:
        """What the text means; fails with click's usage error."""
        try:
            return self._parse(str(value))
        except ValueError as error:
            return self.fail(str(error), param, ctx)
        except InputError as error:
            return self.fail(". ".join(filter(None, (error.message, error.hint))), param, ctx)


def _reason(text: str) -> str:
    if not text.strip():
        raise ValueError("say why, for those who meet the version later")
    return text


REASON = Parsed("reason", _reason)
"""A reason that says something."""

language_option = click.option(
    "--language",
    "languages",
    metavar="CODE",
    multiple=True,
    help="A language that the card names, as in en; may be repeated. Else those of your last push.",
)


class _Command(click.Command):
    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002
        """The first paragraph whole, for the list of a group's commands, which wraps it."""
        return " ".join(cleandoc(self.help or "").partition("\n\n")[0].split())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Examples as they are, not re-wrapped."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"  {line}\n")


def declare(
    name: str, *, examples: str
) -> Callable[[Callable[Concatenate[App, P], None]], click.Command]:
    """Turn a function that takes an App first into a command with --json, --db and examples."""

    def decorate(function: Callable[Concatenate[App, P], None]) -> click.Command:
        @wraps(function)
        def run(*args: Any, as_json: bool, database: str | None, **kwargs: Any) -> None:  # noqa: ANN401
            function(App(read_config(database), Output(as_json=as_json)), *args, **kwargs)

        found = click.command(name, cls=_Command, epilog=examples)(run)
        found.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document."),
            click.Option(["--db", "database"], metavar="URL", help="Use this database."),
        ]
        return found

    return decorate
