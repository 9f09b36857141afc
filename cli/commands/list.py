"""list: the patches of the registry."""

from dataclasses import asdict

import click

from ..app import App
from ..options import LIMIT, declare
from ..output import size


@declare("list", examples="weightpatch list\nweightpatch list --limit 5 --json")
@click.option(
    "--limit", type=LIMIT, default=50, show_default=True, metavar="N", help="At most N versions."
)
def command(app: App, limit: int) -> None:
    """List versions, newest first."""
    with app.registry() as registry:
        versions = registry.versions(limit=limit)
    app.output.data("list", {"versions": [asdict(version) for version in versions]})
    app.output.table(
        ["version", "method", "size", "author", "created", "message"],
        [
            [v.label, v.method, size(v.delta_size), v.author, v.created[:10], v.message]
            for v in versions
        ],
    )
    if not versions:
        app.output.note("no patches yet; make one with `weightpatch create`, or `weightpatch pull`")
