"""eval: score a version on its base."""

from typing import TYPE_CHECKING

import click

from ..app import App
from ..options import declare
from ..scoring import score, show_means

if TYPE_CHECKING:
    from ...patches.format.patch import Patch
    from ...registry.registry import Registry


@declare("eval", examples="weightpatch eval acme/darrieux\nweightpatch eval acme/darrieux --json")
@click.argument("reference", metavar="REF")
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered one by default.")
@click.option("--suite", default="requests", show_default=True, help="What to ask.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
def command(app: App, reference: str, base: str | None, suite: str, device: str) -> None:
    """Score a version before and after on its base, and store the scores."""
    from ...patches import plugins
    from ...patches.checkpoints.models import load_model

    patch = app.patches([reference])[0]
    checkpoint = app.base_for([patch], base)
    plugins.load("suites", suite)
    with app.registry() as registry, app.progress() as progress:
        known = _is_known(registry, patch)
        evaluation = score(load_model(checkpoint, device=device), patch, suite, progress)
        if known:
            registry.record_base(checkpoint, location=str(checkpoint.path.resolve()))
            registry.record_evaluation(patch.digest, checkpoint.fingerprint, evaluation)
    app.output.data("eval", {"label": patch.label, **evaluation.to_json()})
    app.output.line(f"{patch.label} on {checkpoint.id}, suite {suite}")
    show_means(app.output, evaluation.means())
    if not known:
        app.output.note("not stored: the registry does not hold this version; pull it first")


def _is_known(registry: "Registry", patch: "Patch") -> bool:
    from ...registry.errors import NotFound

    try:
        registry.resolve(f"sha256:{patch.digest}")
    except NotFound:
        return False
    return True
