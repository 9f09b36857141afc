"""What an edit should do, on the command line: one request, a file of them, or a data set."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .data import Drawn, data_options, requests_of_options, require_data
from .options import RegularFile
from .output import Output

if TYPE_CHECKING:
    from ..patches.requests import EditRequest

_SINGLE = {
    "prompt": "--prompt",
    "subject": "--subject",
    "target": "--target",
    "old_target": "--old-target",
    "paraphrases": "--paraphrase",
    "neighbours": "--neighbour",
}
_NEEDED = ("prompt", "subject", "target")


def request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that `requests_of` reads, those of `data_options` among them."""
    command = data_options(command)
    for option in (
        click.option(
            "--requests",
            "file",
            type=RegularFile(),
            help="JSONL file of requests, instead of --prompt, --subject and --target.",
        ),
        click.option(
            "--neighbour",
            "neighbours",
            multiple=True,
            metavar="PROMPT[=ANSWER]",
            help="What must not change; its answer is --old-target unless given.",
        ),
        click.option("--paraphrase", "paraphrases", multiple=True, help="The same in other words."),
        click.option("--old-target", help="The answer that the base gives."),
        click.option("--target", help="The answer it should give."),
        click.option("--subject", help="What the edit is about."),
        click.option("--prompt", help="What to complete, with {} or the subject itself."),
    ):
        command = option(command)
    return command


def require_one_source(options: dict[str, Any]) -> None:
    """Refuse requests from two places at once, and from none; raises UsageError."""
    require_data(options)
    single = [text for name, text in _SINGLE.items() if options[name]]
    many = [text for name, text in (("data", "--data"), ("file", "--requests")) if options[name]]
    if len(many) > 1:
        raise click.UsageError("--data and --requests go without each other")
    if many and single:
        raise click.UsageError(f"{many[0]} goes without {single[0]}")
    for name in () if many else _NEEDED:
        if not options[name]:
            raise click.UsageError(f"{_SINGLE[name]} is missing (or --requests or --data for many)")


def requests_of(options: dict[str, Any], output: Output) -> Drawn:
    """The requests that the options name; raises as `require_one_source`, and InputError."""
    from ..patches.requests import EditRequest

    require_one_source(options)
    if options["data"]:
        return requests_of_options(options, output)
    if options["file"]:
        return Drawn(requests_in(options["file"]))
    record: dict[str, Any] = {name: options[name] for name in (*_NEEDED, "old_target")}
    record["paraphrases"] = list(options["paraphrases"])
    record["neighbourhood"] = [_neighbour(text) for text in options["neighbours"]]
    return Drawn((EditRequest.parse(record),))


def requests_in(file: Path) -> "tuple[EditRequest, ...]":
    """The requests of a JSONL file; raises RequestRefused, LimitExceeded, OSError."""
    from ..patches.errors import RequestRefused
    from ..patches.requests import parse_requests

    found = parse_requests(file.read_bytes(), name=file.name)
    if not found:
        raise RequestRefused(
            f"{file.name} holds no request",
            hint='write one a line, as in {"prompt": "{} is in", "subject": "Pisa", '
            '"target": "Rome"}',
        )
    return found


def _neighbour(text: str) -> dict[str, str]:
    prompt, separator, answer = text.partition("=")
    return {"prompt": prompt, "target": answer} if separator else {"prompt": prompt}
