"""verify: check that nothing was changed behind your back."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...patches.errors import InputError, PluginMissing, VerificationFailed
from ..app import App
from ..options import declare

if TYPE_CHECKING:
    from ...patches.builds.record import Mismatch
    from ...patches.format.patch import Patch


@declare(
    "verify",
    examples="weightpatch verify ./smollm2-fixed\n"
    "weightpatch verify ./smollm2-fixed --base ./smollm2\n"
    "weightpatch verify acme/capitals@1",
)
@click.argument("target", metavar="REF|BUILD")
@click.option("--base", metavar="BASE", help="Compare the untouched tensors with this base, too.")
def command(app: App, target: str, base: str | None) -> None:
    """Hash a build's patched tensors, or a version's files, and compare with the record.

    Exit status 3 if anything differs.
    """
    from ...patches.builds.record import is_build

    if is_build(Path(target)):
        _verify_build(app, Path(target), base)
    else:
        _verify_version(app, target)


def _verify_build(app: App, folder: Path, base: str | None) -> None:
    from ...patches.builds.record import compare, read_record, require_base_of, verify

    record = read_record(folder)
    wrong = verify(folder)
    if base is not None:
        checkpoint = app.base(base)
        require_base_of(record, checkpoint)
        wrong += compare(folder, checkpoint)
    app.output.data("verify", {"ok": not wrong, "mismatches": [vars(one) for one in wrong]})
    for name, digest in record.result.items():
        mark = "DIFFERS" if any(one.tensor == name for one in wrong) else "ok"
        app.output.line(f"{mark:<8}{name}  {digest[:12]}…")
    if wrong:
        raise _changed(folder, wrong[0])
    applied = ", ".join(patch.label for patch in record.patches)
    what = "every tensor" if base else "the patched tensors"
    app.output.line(f"{folder} is {record.base_id} with {applied}: {what} as recorded")


def _changed(folder: Path, mismatch: "Mismatch") -> VerificationFailed:
    return VerificationFailed(
        f"{mismatch.tensor} in {folder} is not what was recorded",
        why=f"recorded {mismatch.expected[:12]}…, found {mismatch.found[:12]}…",
        hint="the build was changed after it was made; make it again with `weightpatch apply`",
    )


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
