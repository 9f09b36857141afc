"""apply: write a patched checkpoint."""

from pathlib import Path

import click

from ..app import App
from ..config import shown
from ..options import declare
from .check import refuse_conflicts


@declare(
    "apply",
    examples="weightpatch apply acme/capitals --base ./smollm2 --out ./smollm2-fixed\n"
    "weightpatch apply acme/capitals acme/tongues@2 --base org/model@main --out ./fixed",
)
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered one by default.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder.")
@click.option("--allow-conflicts", is_flag=True, help="Apply patches that contradict each other.")
def command(
    app: App, references: tuple[str, ...], base: str | None, out: Path, *, allow_conflicts: bool
) -> None:
    """Write BASE with the patches applied to a new folder, whole or not at all.

    Base, patches and results are checked by digest; the order of the patches does not matter.
    """
    from ...patches import conflicts
    from ...patches.builds.apply import apply

    patches = app.patches(references)
    if not allow_conflicts:
        refuse_conflicts(conflicts.check(patches))
    checkpoint = app.base_for(patches, base)
    with app.ledger() as record_done, app.progress() as progress:
        record = apply(checkpoint, patches, out, progress=progress)
        for patch in patches:
            detail = {"base": checkpoint.id, "out": shown(out)}
            record_done("build.apply", patch.label, patch.digest, detail)
    app.output.data(
        "apply", {"out": shown(out), "base": checkpoint.id, "result": dict(record.result)}
    )
    for name, digest in record.result.items():
        app.output.line(f"{name}  {record.tensors[name].sha256[:12]}… → {digest[:12]}…")
    applied = ", ".join(patch.label for patch in patches)
    app.output.line(f"{out}: {checkpoint.id} with {applied}; every digest is the promised one")
