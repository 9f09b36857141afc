"""revert: make the base again from a build."""

from pathlib import Path

import click

from ..app import App
from ..config import shown
from ..options import declare


@declare(
    "revert",
    examples="weightpatch revert ./smollm2-fixed\n"
    "weightpatch revert ./smollm2-fixed --base ./smollm2 --out ./smollm2-again",
)
@click.argument("build", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered one by default.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder; BUILD itself by default.")
def command(app: App, build: Path, base: str | None, out: Path | None) -> None:
    """Give the changed tensors of BUILD the base's bytes back, and compare digests.

    A build whose patches list the entries they change, or add neurons, needs no base for that.
    """
    from ...patches.builds.record import read_record
    from ...patches.builds.revert import revert

    place = out or build
    under = app.base_under(read_record(build), base)
    with app.ledger() as record_done, app.progress() as progress:
        record = revert(build, under, out, progress=progress)
        for applied in record.patches:
            record_done("build.revert", applied.label, applied.digest, {"out": shown(place)})
    app.output.data("revert", {"out": shown(place), "tensors": list(record.tensors)})
    for name, tensor in record.tensors.items():
        app.output.line(f"{name}  {record.result[name].sha256[:12]}… → {tensor.sha256[:12]}…")
    app.output.line(f"{place}: {record.base_id} again, every digest is the base's")
