"""log: who changed what, and when."""

from datetime import datetime
from difflib import get_close_matches

import click

from ..app import App
from ..entry_detail import told
from ..ledger import show_verification
from ..options import LIMIT, Parsed, declare
from ..paging import next_page, one_more, split
from ..texts import moment
from ..times import FROM, UNTIL


def _action(text: str) -> str:
    """What entries record, as `alias.move`; guesses what was meant by another word."""
    from ...registry.ledger.events import Event

    if text in set(Event):
        return text
    near = [one.value for one in Event if text and text in one.split(".")]
    near = near or get_close_matches(text, list(Event), n=3)
    guess = f"did you mean {' or '.join(near)}?" if near else f"it is one of {', '.join(Event)}"
    raise ValueError(f"the ledger knows no action {text!r}; {guess}")


@declare(
    "log",
    examples="weightpatch log\n"
    "weightpatch log acme/capitals --json\n"
    "weightpatch log --actor ada --action alias.move --since 2026-03-03\n"
    "weightpatch log --verify",
)
@click.argument("reference", metavar="[NS/NAME[@N]]", required=False)
@click.option("--actor", metavar="WHO", help="Only what this actor did.")
@click.option(
    "--action",
    type=Parsed("action", _action),
    metavar="WHAT",
    help="Only entries such as version.publish.",
)
@click.option("--since", type=FROM, metavar="TIME", help="From this time on.")
@click.option("--until", type=UNTIL, metavar="TIME", help="Up to and with this time.")
@click.option(
    "--limit", type=LIMIT, default=50, show_default=True, metavar="N", help="At most N entries."
)
@click.option(
    "--before", type=click.IntRange(1, 2**53), metavar="#", help="Only entries below this number."
)
@click.option("--verify", is_flag=True, help="Check the whole chain of hashes instead.")
def command(
    app: App,
    reference: str | None,
    actor: str | None,
    action: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    before: int | None,
    *,
    verify: bool,
) -> None:
    """Show the ledger, newest entry first, of all or of one patch.

    TIME is a day such as 2026-03-03, or a second of it, 2026-03-03T12:00:00Z, in UTC; --until a day
    means the whole of it. Times are those of the clocks of whoever wrote the entries.

    With --verify, as `ledger verify`: exit status 3 if an entry was changed, removed or put in.
    """
    if verify:
        with app.registry() as registry:
            show_verification(app.output, registry.verify_ledger())
        return
    with app.registry() as registry:
        found = registry.log(
            reference=reference,
            actor=actor,
            action=action,
            since=since,
            until=until,
            before=before,
            limit=one_more(limit),
        )
    entries, more = split(found, limit)
    following = entries[-1].seq if more else None
    app.output.data("log", {"entries": [vars(entry) for entry in entries], "before": following})
    app.output.table(
        ["#", "time", "who", "what", "of", "detail"],
        [[e.seq, moment(e.time), e.actor, e.action, e.subject, told(e)] for e in entries],
        wrapped=["who", "detail"],
    )
    if following:
        app.output.note(next_page(following))
    if not entries:
        app.output.note("no entry says that" if before is None else "there are no older entries")
