"""gc: free the room that deleted versions and killed processes took."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from ..app import App, now
from ..options import declare
from ..spans import read_span, shown_span
from ..texts import counted, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...registry.registry import Collection
    from ...registry.upkeep.garbage import Garbage

WHY = {"deleted": "deleted", "orphan": "never came in", "trash": "left by an earlier run"}


@declare(
    "gc", examples="weightpatch gc\nweightpatch gc --yes\nweightpatch gc --older-than 7d --yes"
)
@click.option("--yes", is_flag=True, help="Take them; without it, only say which.")
@click.option(
    "--older-than",
    "grace",
    type=read_span,
    default="24h",
    show_default=True,
    metavar="TIME",
    help="Only what nobody wanted for so long: 90m, 24h, 7d.",
)
def command(app: App, grace: timedelta, *, yes: bool) -> None:
    """Collect the files that no version needs any more: a dry run unless --yes is given.

    These are the files and scores of deleted versions, and what killed processes left. Others may
    publish meanwhile. A version that was deleted can be restored until its files are collected.
    """
    with app.registry() as registry:
        found = registry.collect(grace=grace, dry_run=not yes)
        later = () if found.items else registry.collect(grace=timedelta(), dry_run=True).items
    waiting = [item for item in later if item.age < grace]
    app.output.data("gc", _json(found))
    app.output.table(
        ["size", "age", "why", "blob", "files"],
        [
            [
                size(item.size),
                shown_span(item.age),
                WHY[item.why],
                item.digest[:12],
                ", ".join(item.names),
            ]
            for item in found.items
        ],
    )
    _conclude(app, found, waiting, grace)


def _conclude(
    app: App, found: "Collection", waiting: "Sequence[Garbage]", grace: timedelta
) -> None:
    for digest in found.put_back:
        app.output.line(f"put back {digest[:12]}, which a version needs")
    count = _count(found.items)
    if waiting:
        # The clock of ages is that of the registry, to the second; the first of them is due then.
        first = now() + grace - max(item.age for item in waiting)
        total = size(sum(item.size for item in waiting))
        verb = "waits" if len(waiting) == 1 else "wait"
        app.output.line(
            f"nothing yet; {_count(waiting)} ({total}) {verb} until {first:%Y-%m-%d %H:%M:%S} UTC"
        )
    elif not found.items:
        app.output.line("there is nothing to collect")
    elif found.dry_run:
        app.output.line(f"would free {size(found.size)} in {count}; take them with --yes")
    else:
        app.output.line(f"freed {size(found.size)} in {count}")


def _count(items: "Sequence[Garbage]") -> str:
    return counted(len(items), "file")


def _json(found: "Collection") -> dict[str, object]:
    items = [
        {
            "digest": item.digest,
            "size": item.size,
            "age_seconds": int(item.age.total_seconds()),
            "why": item.why,
            "names": item.names,
        }
        for item in found.items
    ]
    return {
        "dry_run": found.dry_run,
        "size": found.size,
        "put_back": found.put_back,
        "items": items,
    }
