"""revert: make the base again from a build."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..app import App
from ..config import shown
from ..options import declare

if TYPE_CHECKING:
    from ...patches.builds.record import BuildRecord
    from ...registry.registry import Registry


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
    from ...patches.builds.verify import changed_files

    place = out or build
    record = read_record(build)
    other = [mismatch.what for mismatch in changed_files(build, record.files)]
    under = app.base_under(record, base)
    with app.ledger() as record_done, app.progress() as progress:
        record = revert(build, under, out, progress=progress)
        record_done(lambda registry: _record(registry, record, place))
    app.output.data(
        "revert",
        {"out": shown(place), "tensors": list(record.tensors), "files_not_as_recorded": other},
    )
    app.output.changes(
        (name, record.result[name].sha256, tensor.sha256) for name, tensor in record.tensors.items()
    )
    compared = (
        "the changed tensors have the base's digests; the others were not compared (give --base)"
        if under is None
        else "every digest is the base's"
    )
    app.output.line(f"{place}: {record.base_id} again, {compared}")
    if other:
        app.output.line(f"these files are not as they were recorded: {', '.join(other)}")


def _record(registry: "Registry", record: "BuildRecord", place: Path) -> None:
    for applied in record.patches:
        registry.record_revert(applied.label, applied.digest, shown(place))
