"""push: send a version to a remote."""

import click

from ..app import App
from ..options import declare


@declare(
    "push",
    examples="weightpatch push acme/capitals ./shared-drive\n"
    "weightpatch push acme/capitals@2 hf://",
)
@click.argument("reference", metavar="REF")
@click.argument("remote", metavar="REMOTE")
def command(app: App, reference: str, remote: str) -> None:
    """Send a version and its scores to REMOTE, a folder or the Hugging Face Hub (hf://)."""
    from ...registry.sharing import push

    with app.registry() as registry, app.progress() as progress:
        info = registry.resolve(reference)
        pushed = push(registry, f"sha256:{info.digest}", remote, progress=progress)
    app.caution(info)
    app.output.data("push", vars(pushed))
    state = "is already at" if pushed.already_there else "is now at"
    at = f" (commit {pushed.revision[:12]})" if pushed.revision else ""
    app.output.line(f"{info.label} {state} {pushed.location}{at}")
