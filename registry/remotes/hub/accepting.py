"""Accept what was proposed on the Hub: compare it with what was reviewed, merge, tag.

Somebody may add to a pull request in the moment in which it is merged, so it is compared again
after that. The tag comes last: what nobody reviewed may get onto the main branch, but nobody can
pull it.
"""

from dataclasses import dataclass
from functools import cached_property

from ....patches.format.names import quoted
from ....patches.progress import silent
from ..base import Bundle, Pushed
from ..errors import RemoteError, RemoteRace, RemoteRefused, RemoteUnreachable
from ..location import HUB, tag
from ..proposals import DRAFT, MERGED, OPEN
from .changes import besides, foreign
from .fetching import main_branch, proposed_commit
from .parcel import Parcel
from .pull_requests import PullRequest, PullRequests
from .repository import MAIN, Refs
from .root import main_head, newest_version
from .snapshot import Snapshot


@dataclass(frozen=True)
class Accepting:
    """One pull request on its way to be a version."""

    pulls: PullRequests
    number: int
    reviewed: Bundle

    def run(self) -> Pushed:
        """Merge and tag, as far as that is not done yet; raises as `Remote.accept`."""
        self._parcel.contents  # noqa: B018 - nothing is asked before our own files are right
        found = self.pulls.find(self.number)
        refs = self.pulls.refs()
        if commit := refs.versions.get(self._version):
            return self._tagged(commit)
        if found.proposal.status == MERGED:
            return self._finish(found, None)
        main = main_branch(self.pulls, refs)
        self._check(found, refs, main)
        return self._finish(self._merge(), main)

    @cached_property
    def _parcel(self) -> Parcel:
        return Parcel(self.reviewed)

    @property
    def _version(self) -> int:
        return self.reviewed.version

    @property
    def _place(self) -> str:
        return f"{HUB}://{self.pulls.repository.name}"

    def _check(self, found: PullRequest, refs: Refs, main: Snapshot) -> None:
        """Raise unless it is what was reviewed, and a merge would make the next version of it."""
        what, status = found.proposal.location, found.proposal.status
        if status != OPEN:
            raise RemoteRefused(
                f"{what} is {'a draft' if status == DRAFT else status}",
                why="only an open proposal can be merged",
                hint=f"open it at {self.pulls.page(self.number)}",
            )
        newest = newest_version(self.pulls.repository, refs, main.listed)
        if self._version != newest + 1:
            raise RemoteRefused(
                f"{self._place} is at version {newest}, and {what} would be {self._version}",
                why="a number stands for one content for ever",
                hint=f"have it proposed again, as version {newest + 1}",
            )
        proposed = Snapshot(self.pulls.repository, proposed_commit(self.pulls, refs, self.number))
        if not self._parcel.is_at(proposed.listed):
            raise RemoteRace(
                f"{what} is not what was reviewed",
                why="it was changed since, and nothing was merged",
                hint="review it again",
            )
        if others := besides(main, proposed):
            raise _changes_more(what, others)
        if found.conflicts:
            raise RemoteRefused(
                f"{what} is in conflict with what {self._place} has become",
                hint="have it proposed again, on top of that",
            )
        proposed.attestations()

    def _merge(self) -> PullRequest:
        """Merge it; if somebody else did at the same time, that is as good."""
        refusal: RemoteError | None = None
        try:
            self.pulls.merge(self.number)
        except (RemoteRace, RemoteRefused) as error:
            refusal = error
        found = self.pulls.find(self.number)
        if found.proposal.status == MERGED:
            return found
        raise refusal or RemoteUnreachable(
            f"the Hub says that it merged {found.proposal.location}, and that it did not",
            hint="try again",
        )

    def _finish(self, found: PullRequest, before: Snapshot | None) -> Pushed:
        """Tag what it ended in, if that is what was reviewed and changed nothing else."""
        commit = found.merged or main_head(self.pulls.repository, self.pulls.refs())
        merged = Snapshot(self.pulls.repository, commit)
        others = foreign(before.listed, merged.listed) if before else []
        if others or not self._parcel.is_at(merged.listed):
            what = quoted(others[0]) if others else f"another {self.reviewed.label}"
            raise RemoteRace(
                f"{found.proposal.location} was merged, and {what} came with it",
                why="nobody reviewed that, so it was not tagged: nobody can pull it as a version",
                hint="review it again; if it is not wanted, take it back at "
                + self.pulls.page(self.number),
            )
        merged.attestations()
        commit = self._with_card(merged)
        try:
            self.pulls.repository.tag(tag(self._version), commit)
        except RemoteRace:
            there = self.pulls.refs().versions.get(self._version)
            if there is None:
                raise
            if there != commit:
                return self._tagged(there)
        return Pushed(self._location, commit, already_there=False)

    def _with_card(self, merged: Snapshot) -> str:
        """The commit to tag: one more with our card and scores, unless somebody went on from it.

        The card that came with it is its author's, and the first that people see.
        """
        changed = self._parcel.missing(merged.listed)
        if not changed:
            return merged.commit
        try:
            return self._parcel.send(
                self.pulls.repository, changed, parent=merged.commit, branch=MAIN, progress=silent
            )
        except RemoteRace:
            return merged.commit

    def _tagged(self, commit: str) -> Pushed:
        """Of a number that has a tag: say that it is this, or raise RemoteRefused."""
        if not self._parcel.is_at(self.pulls.repository.listing(commit)):
            raise RemoteRefused(
                f"{self._location} is there already, and is something else",
                why="a number stands for one content for ever",
                hint="have it proposed again, under the next number",
            )
        return Pushed(self._location, commit, already_there=True)

    @property
    def _location(self) -> str:
        return f"{self._place}@{tag(self._version)}"


def _changes_more(what: str, others: list[str]) -> RemoteRefused:
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return RemoteRefused(
        f"{what} would also change {quoted(others[0])}{more}",
        why="a version is the files of a patch, its card and attestations",
        hint="have it proposed again without that",
    )
