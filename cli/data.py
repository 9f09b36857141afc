"""--data NAME[:FILE] and what goes with it: requests out of a data set."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .options import SEED
from .output import Output

if TYPE_CHECKING:
    from ..patches.requests import EditRequest

PARTS = ("all", "evaluation", "training")
_NEED_DATA = {"count": "--count", "cases": "--case", "skip_bad": "--skip-bad"}


class Drawn(NamedTuple):
    """Requests, and how many bad records of their source were left out."""

    requests: "tuple[EditRequest, ...]"
    left_out: int = 0


skip_bad_option = click.option(
    "--skip-bad", is_flag=True, help="Leave out records that cannot be used."
)


def part_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --part with one of PARTS as default."""
    return click.option(
        "--part",
        type=click.Choice(PARTS),
        default=default,
        show_default=True,
        help="The half for evaluation, the one for training editors, or both.",
    )


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --data, --part, --count, --sample-seed, --case and --skip-bad.

    It gets them as `data`, `part`, `count`, `sample_seed`, `cases` and `skip_bad`, and gives them
    to `requests_of_options`.
    """
    for option in (
        skip_bad_option,
        click.option("--case", "cases", multiple=True, metavar="ID", help="A record by its id."),
        click.option(
            "--sample-seed",
            type=SEED,
            default=0,
            show_default=True,
            help="Which sample --count draws.",
        ),
        click.option(
            "--count", type=click.IntRange(1), help="How many records to draw; all by default."
        ),
        part_option("all"),
        click.option(
            "--data",
            metavar="NAME[:FILE]",
            help="A data set: counterfact and knowedit ship; zsre and jsonl need a file.",
        ),
    ):
        command = option(command)
    return command


def require_data(options: dict[str, Any]) -> None:
    """Refuse, as wrong usage, what goes with --data where there is none; raises UsageError."""
    for name, option in _NEED_DATA.items():
        if options[name] and not options["data"]:
            raise click.UsageError(f"{option} goes with --data")
    if options["part"] != PARTS[0] and not options["data"]:
        raise click.UsageError("--part goes with --data")
    if options["cases"] and options["count"]:
        raise click.UsageError("--case and --count go without each other")


def requests_of_options(options: dict[str, Any], output: Output) -> Drawn:
    """What `data_options` asked for; raises UsageError, and as `requests_from`."""
    require_data(options)
    if not options["data"]:
        raise click.UsageError("--data is missing")
    return requests_from(
        options["data"],
        options["count"],
        options["sample_seed"],
        options["skip_bad"],
        cases=options["cases"],
        part=options["part"],
        note=output.note,
    )


def requests_from(
    spec: str,
    count: int | None,
    seed: int,
    skip_bad: bool,
    *,
    cases: tuple[str, ...] = (),
    part: str = "all",
    note: Callable[[str], None] = lambda _: None,
) -> Drawn:
    """The requests of NAME[:FILE]: those of `cases`, or a sample of `count`, or all.

    With `skip_bad`, `note` gets told how many records of the data set were left out.

    Raises InputError, PluginMissing, LimitExceeded, OSError.
    """
    from ..patches.datasets import halves, load, sample

    data = load(spec, skip_bad=skip_bad)
    if data.refused:
        note(f"{spec}: {len(data.refused)} left out, the first for {data.refused[0]}")
    requests = data.requests
    if part != "all":
        requests = dict(zip(("evaluation", "training"), halves(requests), strict=True))[part]
    if cases:
        requests = _by_id(requests, cases, spec)
    elif count is not None:
        requests = sample(requests, count, seed)
    return Drawn(requests, len(data.refused))


def _by_id(
    requests: "tuple[EditRequest, ...]", cases: tuple[str, ...], spec: str
) -> "tuple[EditRequest, ...]":
    from ..patches.errors import InputError

    found = {request.id: request for request in requests}
    for case in cases:
        if case not in found:
            raise InputError(f"{spec} has no record with the id {case!r}")
    return tuple(found[case] for case in dict.fromkeys(cases))
