"""revert: make the base again from a build."""

from pathlib import Path

import click

from ..app import App
from ..config import shown
from ..options import declare


@declare(
    "revert",
    examples="weightpatch revert ./smollm2-fixed --base ./smollm2\n"
    "weightpatch revert ./smollm2-fixed --base ./smollm2 --out ./smollm2-again",
)
@click.argument("build", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--base", metavar="BASE", required=True, help="Folder or Hub id.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder; BUILD itself by default.")
def command(app: App, build: Path, base: str, out: Path | None) -> None:
    """Give the patched tensors of BUILD the base's bytes back, and compare digests."""
    from ...patches.builds.apply import revert

    place = out or build
    with app.ledger() as record_done, app.progress() as progress:
        record = revert(build, app.base(base), out, progress=progress)
        for applied in record.patches:
            record_done("build.revert", applied.label, applied.digest, {"out": shown(place)})
    app.output.data("revert", {"out": shown(place), "tensors": list(record.tensors)})
    for name, tensor in record.tensors.items():
        app.output.line(f"{name}  {record.result[name][:12]}… → {tensor.sha256[:12]}…")
    app.output.line(f"{place}: {record.base_id} again, every digest is the base's")
