"""What merging a pull request would change, or has changed, besides the files of a version."""

from collections.abc import Mapping, Sequence

from .....patches.format.names import quoted
from .....patches.format.patch import CARD, DELTA, MANIFEST, REQUESTS
from ..files.parcel import is_attestation
from ..files.snapshot import Snapshot
from ..repository.listed import Listed
from ..repository.repository import MAIN

_VERSION = (MANIFEST, DELTA, REQUESTS)


def besides(main: Snapshot, proposed: Snapshot) -> list[str]:
    """Paths, sorted, that no version may change, and that a merge into `main` would.

    A merge takes over what was changed since the two parted: what only the main branch has changed
    since stays as it is. Raises RemoteError.
    """
    changed = foreign(main.listed, proposed.listed)
    base = _parted(main, proposed) if changed else None
    if base in (None, main.commit):
        return changed
    before = main.repository.listing(base)
    return [path for path in changed if before.get(path) != proposed.listed.get(path)]


def settled(merged: Snapshot) -> tuple[Snapshot, list[str]]:
    """What became of a merge, and the paths, sorted, that it changed and no version may change.

    It is the merge's own commit; or the main branch as it is now, with no such paths, if they were
    put back there since and the version is the same. The Hub makes one commit of a pull request,
    so what was there before is its parent. Raises RemoteError.
    """
    repository = merged.repository
    parents = repository.history(merged.commit, newest=2)[1:]
    before = repository.listing(parents[0][0]) if parents else {}
    others = foreign(before, merged.listed)
    if not others:
        return merged, []
    main = Snapshot(repository, repository.resolve(MAIN), merged.progress)
    wanted = {**before, **{path: merged.listed.get(path) for path in _VERSION}}
    is_back = all(main.listed.get(path) == wanted.get(path) for path in (*_VERSION, *others))
    return (main, []) if is_back else (merged, others)


def foreign(before: Mapping[str, Listed], after: Mapping[str, Listed]) -> list[str]:
    """Paths, sorted, that are not as they were before, and that no version may change.

    What is wrong among the attestations is found when they are read.
    """
    return sorted(
        path
        for path in {*before, *after}
        if before.get(path) != after.get(path) and not _may_change(path, after)
    )


def named(paths: Sequence[str]) -> str:
    """One or more paths, fit for a sentence."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{quoted(paths[0])}{more}"


def _may_change(path: str, after: Mapping[str, Listed]) -> bool:
    return is_attestation(path) or (path in after and path in (*_VERSION, CARD))


def _parted(main: Snapshot, proposed: Snapshot) -> str | None:
    """The newest commit of the main branch that the proposal builds on, if it can be found."""
    history = main.repository.history
    known = {commit for commit, _ in history(proposed.commit)}
    if main.commit in known:
        return main.commit
    return next((commit for commit, _ in history(main.commit) if commit in known), None)
