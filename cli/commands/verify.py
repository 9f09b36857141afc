"""verify: check that nothing was changed behind your back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...patches.errors import CheckpointRefused, InputError, PluginMissing, VerificationFailed
from ..app import App
from ..options import declare

if TYPE_CHECKING:
    from ...patches.format.patch import Patch


@declare(
    "verify",
    examples="weightpatch verify ./smollm2-fixed\n"
    "weightpatch verify ./smollm2-fixed --full --base ./smollm2\n"
    "weightpatch verify acme/capitals@1",
)
@click.argument("target", metavar="REF|BUILD")
@click.option("--full", is_flag=True, help="Compare the untouched tensors with the base, too.")
@click.option("--base", metavar="BASE", help="For --full; the remembered base by default.")
def command(app: App, target: str, base: str | None, *, full: bool) -> None:
    """Hash a build's changed tensors and files, or a version's files, and compare with the record.

    Exit status 3 if anything differs.
    """
    from ...patches.builds.record import is_build

    if is_build(Path(target)):
        _verify_build(app, Path(target), base, full=full or base is not None)
    elif full or base is not None:
        raise click.UsageError("--full and --base belong to a build")
    else:
        _verify_version(app, target)


def _verify_build(app: App, folder: Path, base: str | None, *, full: bool) -> None:
    from ...patches.builds.record import read_record
    from ...patches.builds.underlying import require_base_of
    from ...patches.builds.verify import changed, compare, verify

    record = read_record(folder)
    wrong = verify(folder)
    if full:
        checkpoint = app.base_under(record, base)
        if checkpoint is None:
            raise CheckpointRefused(
                f"no base of {folder} is known on this machine",
                hint="name it with --base FOLDER or --base org/model@revision",
            )
        require_base_of(record, checkpoint)
        wrong += compare(folder, checkpoint)
    app.output.data("verify", {"ok": not wrong, "mismatches": [vars(one) for one in wrong]})
    expected = {name: tensor.sha256 for name, tensor in record.result.items()} | dict(record.files)
    for name, digest in expected.items():
        mark = "DIFFERS" if any(one.what == name for one in wrong) else "ok"
        app.output.line(f"{mark:<8}{name}  {digest[:12]}…")
    if wrong:
        raise changed(folder, wrong[0])
    applied = ", ".join(patch.label for patch in record.patches)
    what = (
        "every tensor and file is" if full else "the changed tensors and the files beside them are"
    )
    app.output.line(f"{folder} is {record.base_id} with {applied}: {what} as recorded")


def _verify_version(app: App, reference: str) -> None:
    from ...registry.errors import BlobLost

    try:
        patch = app.patches([reference])[0]
        unread = _read_all(patch)
    except (InputError, BlobLost) as error:
        if error.code == "E_NAME":
            raise
        raise VerificationFailed(
            f"{reference} is not whole: {error.message}", why=error.why, hint=error.hint
        ) from error
    app.output.data("verify", {"ok": True, "label": patch.label, "digest": patch.digest})
    app.output.line(f"{patch.label} is whole: sha256:{patch.digest}")
    if unread:
        app.output.line(f"its digests agree; what it holds was not read: {unread}")
    else:
        changed, asked = len(patch.operations), len(patch.requests)
        app.output.line(f"files, {changed} changed tensors and {asked} requests agree")


def _read_all(patch: "Patch") -> str | None:
    """Read everything strictly; gives why the operations could not be read, if they are foreign."""
    _ = patch.requests
    try:
        _ = patch.operations, patch.auxiliary
    except PluginMissing as error:
        return error.message
    return None
