"""delete: take a version away, its tombstone left."""

from typing import TYPE_CHECKING

import click

from ..app import App
from ..options import REASON, declare
from ..standing import show_standing

if TYPE_CHECKING:
    from ...registry.registry import Registry, VersionInfo


@declare(
    "delete",
    examples="weightpatch delete acme/capitals@3 --reason 'published by mistake'\n"
    "weightpatch delete acme/capitals@3 --undo --reason 'it was the right one'",
)
@click.argument("reference", metavar="NS/NAME@N")
@click.option(
    "--reason",
    type=REASON,
    metavar="TEXT",
    required=True,
    help="Why; the tombstone says it for ever.",
)
@click.option("--undo", is_flag=True, help="Take the deletion back, while the files are there.")
def command(app: App, reference: str, reason: str, *, undo: bool) -> None:
    """Take a version away; its number, its digest, who deleted it and why are kept for ever.

    It is in no list and cannot be used, published or pulled again. Its files are taken away by the
    next `gc` after the time of grace; until then --undo brings it back whole. An alias that means
    it must be moved first.

    It does not erase: the prompts, subjects, targets and the message stay in the database, though
    no list shows them, and remotes keep their copies.
    """
    lost = False
    with app.registry() as registry:
        before = registry.resolve(reference).standing
        if undo:
            info = registry.restore(reference, reason=reason, state="deleted")
            lost = info.standing != before and _is_lost(registry, info)
        else:
            info = registry.delete(reference, reason=reason)
    show_standing(app.output, "delete", info, before, undone="deleted" if undo else None)
    if lost:
        app.output.note(
            f"note: its files are gone; fetch them: weightpatch pull {info.label} REMOTE"
        )


def _is_lost(registry: "Registry", info: "VersionInfo") -> bool:
    """Whether files of a version were collected before it was taken back."""
    from ...registry.errors import BlobLost, Deleted

    try:
        registry.patch(f"sha256:{info.digest}", to_read=True)
    except BlobLost:
        return True
    except Deleted:
        return False
    return False
