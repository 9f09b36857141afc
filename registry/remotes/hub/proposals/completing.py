"""The commit that gets the tag after a merge: with our card, and nothing that nobody reviewed.

Attestations may come to a pull request in the moment in which it is merged, and are no other files.
"""

from .....patches.format.patch import CARD
from .....patches.progress import silent
from ...errors import RemoteRace, RemoteRefused
from ..files.parcel import Parcel, is_attestation
from ..files.snapshot import Snapshot
from ..repository.repository import MAIN
from .changes import foreign, named


def complete(parcel: Parcel, merged: Snapshot, what: str) -> str:
    """The commit to tag: one more with our card and scores, unless somebody went on from it.

    The card that came with it is its author's, and the first that people see. Attestations that
    are not in the parcel are taken out again, whatever was put on top of the merge. Raises
    RemoteRefused, about the proposal `what`, if that is not possible any more, and RemoteError.
    """
    try:
        return _set_right(parcel, merged, parcel.missing(merged.listed))
    except RemoteRace:
        if not (others := _unreviewed(parcel, merged)):
            return merged.commit
    repository = merged.repository
    main = Snapshot(repository, repository.resolve(MAIN), merged.progress)
    if not parcel.is_at(main.listed) or foreign(merged.listed, main.listed):
        raise RemoteRefused(
            f"{what} was merged, and {named(others)} came with it",
            why="nobody reviewed that, and others went on from it, so it was not tagged",
            hint="have it proposed again, under the next number",
        )
    return _set_right(parcel, main, [one for one in parcel.missing(main.listed) if one != CARD])


def _set_right(parcel: Parcel, there: Snapshot, changed: list[str]) -> str:
    """Put these paths there, and take other attestations out; raises RemoteRace."""
    stale = parcel.stale(there.listed)
    if not changed and not stale:
        return there.commit
    return parcel.send(
        there.repository,
        changed,
        delete=stale,
        parent=there.commit,
        branch=MAIN,
        progress=silent,
    )


def _unreviewed(parcel: Parcel, there: Snapshot) -> list[str]:
    """Attestations there that are not in the parcel, or not as they are in it."""
    missing = set(filter(is_attestation, parcel.missing(there.listed)))
    return sorted([*parcel.stale(there.listed), *(missing & set(there.listed))])
