"""delete: take a version away, its tombstone left."""

from dataclasses import asdict

import click

from ..app import App
from ..options import declare


@declare(
    "delete",
    examples="weightpatch delete acme/capitals@3 --reason 'holds private data'\n"
    "weightpatch delete acme/capitals@3 --undo --reason 'it was published before'",
)
@click.argument("reference", metavar="NS/NAME@N")
@click.option("--reason", required=True, help="Why; the tombstone says it for ever.")
@click.option("--undo", is_flag=True, help="Take the deletion back, while the files are there.")
def command(app: App, reference: str, reason: str, *, undo: bool) -> None:
    """Take a version away; its number, its digest, who deleted it and why are kept for ever.

    It is in no list and cannot be used, published or pulled again. Its files are taken away by the
    next `gc` after the time of grace; until then --undo brings it back whole. An alias that means
    it must be moved first.
    """
    with app.registry() as registry:
        before = registry.resolve(reference).standing
        if undo:
            info = registry.restore(reference, reason=reason, state="deleted")
        else:
            info = registry.delete(reference, reason=reason)
    app.output.data("delete", asdict(info))
    standing = str(info.standing) if info.standing else "listed"
    state = "is still" if info.standing == before else "is now"
    app.output.line(f"{info.label} {state} {standing}")
    if undo and info.standing == before:
        app.output.note("nothing was changed: it was not deleted")
