"""compose: make one patch of several."""

import tempfile
from pathlib import Path

import click

from ..app import App, timestamp
from ..options import declare
from .check import refuse_conflicts


@declare(
    "compose",
    examples="weightpatch compose acme/capitals acme/tongues@2 --name acme/fixes",
)
@click.argument("references", metavar="REF REF...", nargs=-1, required=True)
@click.option("--name", required=True, metavar="NS/NAME", help="Name of the composition.")
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered one by default.")
@click.option("--message", default="", help="What it is for.")
@click.option("--supersedes", metavar="REF", help="The version that this one replaces.")
@click.option("--allow-conflicts", is_flag=True, help="Compose patches that contradict each other.")
def command(
    app: App,
    references: tuple[str, ...],
    name: str,
    base: str | None,
    message: str,
    supersedes: str | None,
    *,
    allow_conflicts: bool,
) -> None:
    """Make one version of several: bit for bit what applying them together gives."""
    from ...patches.composition.compose import compose
    from ...patches.conflicts import check as conflicts
    from ...patches.draft import Origin
    from ...patches.tools import versions

    patches = app.patches(references)
    if not allow_conflicts:
        refuse_conflicts(conflicts.check(patches))
    checkpoint = app.base_for(patches, base)
    origin = Origin(
        name,
        author=app.config.actor,
        created=timestamp(),
        message=message,
        supersedes=app.digest(supersedes),
    )
    with app.registry() as registry, tempfile.TemporaryDirectory() as folder:
        version = registry.publish(
            compose(checkpoint, patches, Path(folder), origin, versions(["numpy"]))
        )
    app.remember(checkpoint, patches)
    app.announce("compose", version, supersedes=origin.supersedes)
