"""log: who changed what, and when."""

import click

from ...patches.errors import VerificationFailed
from ..app import App
from ..options import LIMIT, declare


@declare(
    "log",
    examples="weightpatch log\nweightpatch log acme/capitals --json\nweightpatch log --verify",
)
@click.argument("reference", metavar="[NS/NAME[@N]]", required=False)
@click.option(
    "--limit", type=LIMIT, default=50, show_default=True, metavar="N", help="At most N entries."
)
@click.option("--verify", is_flag=True, help="Check the whole chain of hashes instead.")
def command(app: App, reference: str | None, limit: int, *, verify: bool) -> None:
    """Show the ledger, newest entry first, of all or of one patch.

    With --verify, exit status 3 if an entry was changed, removed or put in.
    """
    if verify:
        _verify(app)
        return
    with app.registry() as registry:
        entries = registry.log(reference=reference, limit=limit)
    app.output.data("log", {"entries": [vars(entry) for entry in entries]})
    app.output.table(
        ["#", "time", "who", "what", "entry", "of"],
        [[e.seq, _time(e.time), e.actor, e.action, e.entry_hash[:12], e.subject] for e in entries],
    )


def _verify(app: App) -> None:
    with app.registry() as registry:
        report = registry.verify_ledger()
    app.output.data("ledger", vars(report))
    if not report.ok:
        raise VerificationFailed(
            "the ledger was tampered with",
            why=str(report.flaw),
            hint="compare with a copy of the database from before",
        )
    app.output.line(
        f"the ledger is sound: {report.sound} entries, each with the hash of the one before"
    )


def _time(time: str) -> str:
    return time.replace("T", " ").removesuffix("Z")
