"""pull: fetch a version from a remote."""

import click

from ..app import App
from ..options import declare


@declare(
    "pull",
    examples="weightpatch pull acme/capitals ./shared-drive\n"
    "weightpatch pull acme/capitals@2 hf://",
)
@click.argument("reference", metavar="NS/NAME[@N]")
@click.argument("remote", metavar="REMOTE")
def command(app: App, reference: str, remote: str) -> None:
    """Fetch a version and its scores from REMOTE; nothing is registered before all is checked."""
    from ...registry.sharing import pull

    with app.registry() as registry, app.progress() as progress:
        fetched = pull(registry, reference, remote, progress=progress)
    for name in fetched.ignored:
        app.output.note(f"ignored attestations/{name}.json: not an evaluation of this version")
    app.announce("pull", fetched.version)
    if fetched.evaluations:
        app.output.line("with its publisher's scores; `weightpatch eval` makes your own")
