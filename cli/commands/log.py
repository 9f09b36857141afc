"""log: who changed what, and when."""

import click

from ..app import App
from ..options import declare


@declare("log", examples="weightpatch log\nweightpatch log acme/capitals --json")
@click.argument("reference", metavar="[REF]", required=False)
@click.option("--limit", default=50, show_default=True, metavar="N", help="At most N entries.")
def command(app: App, reference: str | None, limit: int) -> None:
    """Show the ledger, newest entry first, of all or of one patch."""
    with app.registry() as registry:
        entries = registry.log(reference=reference, limit=limit)
    app.output.data("log", {"entries": [vars(entry) for entry in entries]})
    app.output.table(
        ["#", "time", "who", "what", "of", "entry"],
        [[e.seq, e.time, e.actor, e.action, e.subject, e.entry_hash[:12]] for e in entries],
    )
