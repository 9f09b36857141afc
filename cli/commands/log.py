"""log: who changed what, and when."""

from datetime import datetime

import click

from ..app import App
from ..ledger import show_verification
from ..options import LIMIT, declare
from ..times import Moment


@declare(
    "log",
    examples="weightpatch log\n"
    "weightpatch log acme/capitals --json\n"
    "weightpatch log --actor ada --action alias.move --since 2026-03-03\n"
    "weightpatch log --verify",
)
@click.argument("reference", metavar="[NS/NAME[@N]]", required=False)
@click.option("--actor", metavar="WHO", help="Only what this actor did.")
@click.option("--action", metavar="WHAT", help="Only entries such as version.publish.")
@click.option("--since", type=Moment(), metavar="TIME", help="From this time on.")
@click.option("--until", type=Moment(last=True), metavar="TIME", help="Up to and with this time.")
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
        entries = registry.log(
            reference=reference,
            actor=actor,
            action=action,
            since=since,
            until=until,
            before=before,
            limit=limit,
        )
    app.output.data("log", {"entries": [vars(entry) for entry in entries]})
    app.output.table(
        ["#", "time", "who", "what", "entry", "of"],
        [[e.seq, _time(e.time), e.actor, e.action, e.entry_hash[:12], e.subject] for e in entries],
    )
    if len(entries) == limit and entries[-1].seq > 1:
        app.output.note(f"older entries: the same with --before {entries[-1].seq}")


def _time(time: str) -> str:
    return time.replace("T", " ").removesuffix("Z")
