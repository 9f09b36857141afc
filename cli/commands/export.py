"""export: hand a patch out to PEFT or as plain tensors."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..app import App
from ..config import shown
from ..options import declare
from ..texts import counted, size

if TYPE_CHECKING:
    from ...patches.checkpoints.checkpoint import Checkpoint
    from ...patches.format.patch import Patch

PEFT, STATE_DICT = "peft", "state-dict"
FORMATS = (PEFT, "safetensors", STATE_DICT)


@declare(
    "export",
    examples="weightpatch export acme/capitals --to peft --out ./adapter\n"
    "weightpatch export acme/capitals@2 --to safetensors --out ./touched.safetensors\n"
    "weightpatch export acme/capitals --to safetensors --full --out ./model.safetensors",
)
@click.argument("reference", metavar="REF")
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Choice(FORMATS),
    help="An adapter that PEFT loads, patched tensors under the checkpoint's names, or under "
    "those of the transformers model.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="New folder of the adapter, or new file of the tensors.",
)
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered base by default.")
@click.option("--full", is_flag=True, help="Write all tensors, not only those that are touched.")
@click.option("--force", is_flag=True, help="Exchange the adapter or file that is at --out.")
def command(
    app: App, reference: str, target: str, out: Path, base: str | None, *, full: bool, force: bool
) -> None:
    """Hand a version out in a form that other tools read, whole or not at all.

    An adapter holds low-rank operations only, with the very factors: `import` reads the same back.
    Tensors are those that `apply` would write, one safetensors file of them.
    """
    if full and target == PEFT:
        raise click.UsageError("--full goes with --to safetensors and --to state-dict")
    (patch,) = app.patches([reference])
    checkpoint = app.base_for([patch], base)
    if target == PEFT:
        _to_peft(app, patch, checkpoint, out, force=force)
    else:
        _to_tensors(app, patch, checkpoint, out, target, full=full, force=force)
    app.remember(checkpoint, [patch])


def _to_peft(app: App, patch: "Patch", checkpoint: "Checkpoint", out: Path, *, force: bool) -> None:
    from ...patches.exchange.to_peft import to_peft

    found = to_peft(patch, checkpoint, out, force=force)
    app.output.data(
        "export",
        {"to": PEFT, "out": shown(out), "version": patch.label, "ranks": found.ranks},
    )
    modules = counted(len(found.ranks), "module")
    app.output.line(f"{out}: {patch.label} as a PEFT adapter of {modules}, rank {found.rank}")


def _to_tensors(
    app: App,
    patch: "Patch",
    checkpoint: "Checkpoint",
    out: Path,
    target: str,
    *,
    full: bool,
    force: bool,
) -> None:
    from ...patches.exchange.patched_tensors import write_patched

    with app.progress() as progress:
        found = write_patched(
            checkpoint,
            [patch],
            out,
            full=full,
            live_names=target == STATE_DICT,
            force=force,
            progress=progress,
        )
    app.output.data(
        "export",
        {
            "to": target,
            "out": shown(out),
            "version": patch.label,
            "tensors": list(found.sources),
            "result": found.digests,
        },
    )
    tensors = counted(len(found.sources), "tensor")
    app.output.line(
        f"{out}: {tensors} of {checkpoint.id} with {patch.label}, {size(out.stat().st_size)}; "
        "every digest is the promised one"
    )
