"""Fetch what is proposed on the Hub, or what has become of it."""

from pathlib import Path

from .....patches.format.patch import Patch
from .....patches.progress import Progress
from ...proposals import Candidate
from ...transfer import from_place
from ..files.snapshot import Snapshot
from ..repository.repository import Refs
from ..versions.main_branch import main_head
from .changes import besides, settled
from .pull_requests import PullRequests


def fetch(pulls: PullRequests, number: int, into: Path, progress: Progress) -> Candidate:
    """Fetch a pull request, or what one that is merged ended in; raises as `Remote.proposal`."""
    found = pulls.find(number)
    refs = pulls.repository.refs(pulls=True)
    commit = found.merged or proposed_commit(pulls, refs, number)
    snapshot = Snapshot(pulls.repository, commit, progress)
    with from_place(found.proposal.location):
        snapshot.save(into, None)
    if found.merged:
        snapshot, others = settled(snapshot)
    else:
        others = besides(main_branch(pulls, refs), snapshot)
    with from_place(found.proposal.location):
        patch, notes = Patch.open(into), snapshot.attestations()
    return Candidate(found.proposal, patch, notes, snapshot.commit, tuple(others))


def main_branch(pulls: PullRequests, refs: Refs) -> Snapshot:
    """What a merge would go into; raises RemoteRefused if there is no such branch."""
    return Snapshot(pulls.repository, main_head(pulls.repository, refs))


def proposed_commit(pulls: PullRequests, refs: Refs, number: int) -> str:
    """The newest commit of a pull request; raises RemoteError."""
    return refs.pulls.get(number) or pulls.repository.resolve(f"refs/pr/{number}")
