"""alias: names that move from version to version."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..app import App
from ..options import LIMIT, declare
from ..paging import next_page, one_more, split
from ..texts import moment
from ..times import UNTIL
from ..version_table import marked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ...registry.registry import AliasMove, Registry


@declare(
    "alias",
    examples="weightpatch alias acme/capitals@3 stable --reason 'passed the gate'\n"
    "weightpatch alias acme/capitals@4 stable --expect acme/capitals@3\n"
    "weightpatch alias acme/capitals\n"
    "weightpatch alias acme/capitals@stable --at 2026-03-03\n"
    "weightpatch alias acme/capitals@stable --history\n"
    "weightpatch alias acme/capitals@stable --remove",
)
@click.argument("reference", metavar="REF")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--reason", default="", help="Why it moves.")
@click.option(
    "--expect", metavar="REF|none", help="Move only if the alias means this version now, or none."
)
@click.option("--history", is_flag=True, help="Show the moves instead, newest first.")
@click.option(
    "--at",
    "time",
    type=UNTIL,
    metavar="TIME",
    help="Show what it meant then: a second, or a day's last.",
)
@click.option("--remove", is_flag=True, help="Take the alias away.")
@click.option(
    "--limit", type=LIMIT, default=50, show_default=True, metavar="N", help="At most N moves."
)
@click.option(
    "--before", type=click.IntRange(1, 2**53), metavar="#", help="Only moves below this number."
)
def command(
    app: App,
    reference: str,
    name: str | None,
    reason: str,
    expect: str | None,
    time: "datetime | None",
    limit: int,
    before: int | None,
    *,
    history: bool,
    remove: bool,
) -> None:
    """Let NAME mean the version REF, or show what the aliases of NS/NAME[@ALIAS] mean.

    From then on NS/NAME@NAME is that version, until the next move. Every move is recorded, with
    who made it, when and why. The name `latest` is not free: NS/NAME alone means the newest.
    """
    if sum([name is not None, history, time is not None, remove]) > 1:
        raise click.UsageError("NAME, --history, --at and --remove exclude one another")
    if before is not None and not history:
        raise click.UsageError("--before belongs to --history")
    if (reason and name is None and not remove) or (expect is not None and name is None):
        raise click.UsageError("--reason and --expect belong to a move: alias REF NAME")
    if name is not None and "/" not in reference and "/" in name:
        raise click.UsageError(f"REF comes first: weightpatch alias {name} {reference}")
    with app.registry() as registry:
        if name is not None:
            info = registry.resolve(reference)
            alias, target = f"{info.name}@{name}", f"sha256:{info.digest}"
            _moved(app, registry.move_alias(alias, target, reason=reason, expect=expect))
        elif remove:
            _moved(app, registry.move_alias(reference, None, reason=reason))
        elif history:
            found = registry.alias_moves(reference, before=before, limit=one_more(limit))
            moves, more = split(found, limit)
            _history(app, moves, more=more, older=before is not None)
        elif time is not None:
            _at(app, registry, reference, time)
        else:
            _list(app, registry, reference)


def _moved(app: App, move: "AliasMove") -> None:
    app.output.data("alias", {"move": asdict(move)})
    after = f"now means {move.after}" if move.after else "is taken away"
    if not move.is_new:
        after = f"already means {move.after}" if move.after else "was taken away already"
        app.output.line(f"{move.alias} {after}; nothing was changed")
    else:
        before = f" (before: {move.before})" if move.before else ""
        app.output.line(f"{move.alias} {after}{before}")


def _history(app: App, moves: "Sequence[AliasMove]", *, more: bool, older: bool) -> None:
    following = moves[-1].seq if more else None
    app.output.data(
        "alias.history", {"moves": [asdict(move) for move in moves], "before": following}
    )
    app.output.table(
        ["#", "time", "alias", "from", "to", "who", "reason"],
        [
            [
                m.seq,
                moment(m.when),
                m.alias.rpartition("@")[2],
                _number(m.before),
                _number(m.after),
                m.who,
                m.reason,
            ]
            for m in moves
        ],
        wrapped=["who", "reason"],
    )
    if following:
        app.output.note(next_page(following))
    if not moves:
        app.output.note("there are no older moves" if older else "no alias has moved yet")


def _at(app: App, registry: "Registry", reference: str, time: "datetime") -> None:
    info = registry.alias_at(reference, time)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    app.output.data(
        "alias.at", {"alias": reference, "time": when, "version": asdict(info) if info else None}
    )
    meant = f"{marked(info)}  sha256:{info.digest}" if info else "nothing"
    app.output.line(f"on {moment(when)} UTC {reference} meant {meant}")


def _list(app: App, registry: "Registry", reference: str) -> None:
    """Each alias with its last move, which says who moved it there, when and why."""
    name, at, wanted = reference.partition("@")
    found = {
        alias: (info, registry.alias_moves(f"{name}@{alias}", limit=1)[0])
        for alias, info in registry.aliases(name).items()
        if not at or alias == wanted
    }
    if at and not found:
        registry.resolve(reference)  # says that there is no such alias, and which there are
        raise click.UsageError("name the alias: alias REF NAME")
    app.output.data(
        "alias.list",
        {
            "aliases": {
                alias: asdict(info)
                | {"since": m.when, "who": m.who, "reason": m.reason, "seq": m.seq}
                for alias, (info, m) in found.items()
            }
        },
    )
    app.output.table(
        ["alias", "version", "since", "who", "digest", "reason"],
        [
            [alias, marked(info), moment(m.when), m.who, info.digest[:12], m.reason]
            for alias, (info, m) in found.items()
        ],
        wrapped=["who", "reason"],
    )
    if not found:
        app.output.note(f"{name} has no alias; make one with: weightpatch alias {name}@N NAME")


def _number(label: str | None) -> str | None:
    return label and f"@{label.rpartition('@')[2]}"
