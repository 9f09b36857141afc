"""list: the patches of the registry."""

from contextlib import suppress

import click

from ..app import App
from ..options import LIMIT, declare
from ..paging import one_more
from ..version_table import BEFORE, show_page


@declare(
    "list",
    examples="weightpatch list\nweightpatch list acme/capitals\nweightpatch list --limit 5 --json",
)
@click.argument("name", metavar="[NS/NAME]", required=False)
@click.option(
    "--limit", type=LIMIT, default=50, show_default=True, metavar="N", help="At most N versions."
)
@click.option("--before", type=BEFORE, metavar="DIGEST", help="Go on below this version.")
def command(app: App, name: str | None, limit: int, before: str | None) -> None:
    """List versions, newest first; of one patch, if it is named."""
    from ...registry.errors import Deleted

    with app.registry() as registry:
        versions = registry.versions(name=name, limit=one_more(limit), before=before)
        if name and not versions:
            with suppress(Deleted):
                registry.resolve(name)  # says that there is no such patch, and which there are
    show_page(app.output, "list", versions, limit)
    if not versions and before is None:
        app.output.note(
            f"every version of {name} was deleted; see: weightpatch log {name}"
            if name
            else "no patches yet; make one with `weightpatch create`, or `weightpatch pull`"
        )
    elif not versions:
        app.output.note("there are no more versions")
