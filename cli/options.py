"""How a command is declared: its examples, and the options that all have."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import click

from .app import App
from .config import read_config
from .output import Output

P = ParamSpec("P")


class _Command(click.Command):
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
