"""verify: check that nothing was changed behind your back."""

from pathlib import Path

import click

from ...patches.errors import VerificationFailed
from ..app import App
from ..options import declare


@declare(
    "verify", examples="weightpatch verify ./smollm2-fixed\nweightpatch verify acme/capitals@1"
)
@click.argument("target", metavar="REF|BUILD")
def command(app: App, target: str) -> None:
    """Hash a build's patched tensors, or a version's files, and compare with the record.

    Exit status 3 if anything differs.
    """
    from ...patches import build

    if build.is_build(Path(target)):
        _verify_build(app, Path(target))
    else:
        _verify_version(app, target)


def _verify_build(app: App, folder: Path) -> None:
    from ...patches import build

    record = build.read_record(folder)
    wrong = build.verify(folder)
    app.output.data("verify", {"ok": not wrong, "mismatches": [vars(one) for one in wrong]})
    for name, digest in record.result.items():
        mark = "DIFFERS" if any(one.tensor == name for one in wrong) else "ok"
        app.output.line(f"{mark:<8}{name}  {digest[:12]}…")
    if wrong:
        raise VerificationFailed(
            f"{wrong[0].tensor} in {folder} is not what was recorded",
            why=f"recorded {wrong[0].expected[:12]}…, found {wrong[0].found[:12]}…",
            hint="the build was changed after it was made; make it again with `weightpatch apply`",
        )
    applied = ", ".join(patch.label for patch in record.patches)
    app.output.line(f"{folder} is {record.base_id} with {applied}, as recorded")


def _verify_version(app: App, reference: str) -> None:
    patch = app.patches([reference])[0]
    changed = len(patch.operations)
    app.output.data("verify", {"ok": True, "label": patch.label, "digest": patch.digest})
    app.output.line(f"{patch.label} is whole: sha256:{patch.digest}")
    app.output.line(f"files, {changed} changed tensors and {len(patch.requests)} requests agree")
