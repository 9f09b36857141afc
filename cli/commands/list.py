"""list: the patches of the registry."""

import click

from ..app import App
from ..options import LIMIT, declare
from ..version_table import Before, show_page


@declare(
    "list",
    examples="weightpatch list\nweightpatch list acme/capitals\nweightpatch list --limit 5 --json",
)
@click.argument("name", metavar="[NS/NAME]", required=False)
@click.option(
    "--limit", type=LIMIT, default=50, show_default=True, metavar="N", help="At most N versions."
)
@click.option("--before", type=Before(), metavar="DIGEST", help="Go on below this version.")
def command(app: App, name: str | None, limit: int, before: str | None) -> None:
    """List versions, newest first; of one patch, if it is named."""
    with app.registry() as registry:
        versions = registry.versions(name=name, limit=limit, before=before)
    show_page(app.output, "list", versions, limit, " ".join(["weightpatch list", *_again(name)]))
    if not versions and before is None:
        app.output.note(
            f"no version of {name} is here"
            if name
            else "no patches yet; make one with `weightpatch create`, or `weightpatch pull`"
        )


def _again(name: str | None) -> list[str]:
    return [name] if name else []
