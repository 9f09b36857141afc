"""Whether a build holds already what is to be put on top of it."""

from typing import TYPE_CHECKING

from ..patches.errors import ConflictFound
from .app import App

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..patches.format.patch import Patch


def require_not_within(app: App, patches: "Sequence[Patch]", base: "Checkpoint") -> None:
    """Raise ConflictFound if `base` is a build in which the delta of one of `patches` is.

    Also as a part of a composition, as far as the versions in the build are at hand.
    """
    from ..patches.builds.record import is_build, read_record
    from ..patches.conflicts.held import held_twice

    if not is_build(base.path):
        return
    inside = [one for layer in read_record(base.path).layers for one in layer.patches]
    digests = {one.digest for one in inside}
    known = app.versions_at_hand(inside)
    for patch in patches:
        pairs = held_twice([patch, *known])
        holders = [known[other - 1].label for one, other in sorted(pairs) if one == 0]
        if patch.digest in digests or holders:
            raise ConflictFound(
                f"{base.id} is a build with {(holders or [patch.label])[0]} in it",
                why=f"the delta of {patch.label} would be added twice",
                hint="take a build without it",
            )
