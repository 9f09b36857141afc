"""eval: score a version on its base."""

import click

from ..app import App
from ..options import declare
from ..scoring import score, show_scores


@declare("eval", examples="weightpatch eval acme/darrieux\nweightpatch eval acme/darrieux --json")
@click.argument("reference", metavar="REF")
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered one by default.")
@click.option("--suite", default="requests", show_default=True, help="What to ask.")
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
def command(app: App, reference: str, base: str | None, suite: str, device: str) -> None:
    """Score a version before and after on its base, and store the scores."""
    from ...patches.models import load_model

    patch = app.patches([reference])[0]
    checkpoint = app.base_for([patch], base)
    with app.registry() as registry, app.progress() as progress:
        evaluation = score(load_model(checkpoint, device=device), patch, suite, progress)
        registry.record_base(checkpoint, location=str(checkpoint.path.resolve()))
        registry.record_evaluation(patch.digest, checkpoint.fingerprint, evaluation)
    app.output.data("eval", {"label": patch.label, **evaluation.to_json()})
    app.output.line(f"{patch.label} on {checkpoint.id}, suite {suite}")
    show_scores(app.output, evaluation)
