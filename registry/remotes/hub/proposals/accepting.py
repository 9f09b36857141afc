"""Accept what was proposed on the Hub: compare it with what was reviewed, merge, tag.

Somebody may add to a pull request in the moment in which it is merged, so it is compared again
after that. The tag comes last: what nobody reviewed may get onto the main branch, but nobody can
pull it.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from .....patches.errors import WeightpatchError
from ...base import Bundle, Pushed
from ...errors import RemoteError, RemoteRace, RemoteRefused, RemoteUnreachable
from ...location import tag
from ...proposals import DRAFT, OPEN
from ..files.parcel import Parcel
from ..files.snapshot import Snapshot
from ..repository.repository import MAIN, Refs, Repository
from ..versions.main_branch import newest_version
from .changes import besides, foreign, named, settled
from .completing import complete
from .fetching import main_branch, proposed_commit
from .pull_requests import PullRequest, PullRequests


@dataclass(frozen=True)
class Accepting:
    """One pull request on its way to be a version."""

    pulls: PullRequests
    number: int
    reviewed: Bundle

    def run(self) -> Pushed:
        """Merge and tag, as far as that is not done yet; raises as `Remote.accept`."""
        self._parcel.check()
        found = self.pulls.find(self.number)
        refs = self._repository.refs(pulls=True)
        if commit := refs.versions.get(self._version):
            pushed = self._tagged(commit)
            self._close(found, refs)
            return pushed
        if found.merged:
            return self._finish(found.proposal.location, found.merged, None)
        main = main_branch(self.pulls, refs)
        try:
            self._check(found, refs, main)
        except (RemoteRace, RemoteRefused):
            # Somebody else may have merged this very proposal since it was read.
            merged = self.pulls.find(self.number).merged
            if merged is None:
                raise
            return self._finish(found.proposal.location, merged, None)
        return self._finish(found.proposal.location, self._merge(refs), main)

    @cached_property
    def _parcel(self) -> Parcel:
        return Parcel(self.reviewed)

    @property
    def _version(self) -> int:
        return self.reviewed.version

    @property
    def _repository(self) -> Repository:
        return self.pulls.repository

    def _check(self, found: PullRequest, refs: Refs, main: Snapshot) -> None:
        """Raise unless it is what was reviewed, and a merge would make the next version of it."""
        what, status = found.proposal.location, found.proposal.status
        if status != OPEN:
            raise RemoteRefused(
                f"{what} is {'a draft' if status == DRAFT else status}",
                why="only an open proposal can be merged",
                hint=f"open it at {self.pulls.page(self.number)}",
            )
        self._check_number(what, refs, main)
        proposed = Snapshot(self._repository, proposed_commit(self.pulls, refs, self.number))
        if not self._parcel.is_at(proposed.listed):
            raise RemoteRace(
                f"{what} is not what was reviewed",
                why="it was changed since, and nothing was merged",
                hint="review it again",
            )
        if others := besides(main, proposed):
            raise _changes_more(what, others)
        if found.conflicts:
            raise self._in_conflict(what)
        proposed.attestations()

    def _check_number(self, what: str, refs: Refs, main: Snapshot) -> None:
        newest = newest_version(self._repository, refs, main.listed)
        if self._version != newest + 1:
            raise RemoteRefused(
                f"{self._repository.place} is at version {newest}, "
                f"and {what} would be {self._version}",
                why="a number stands for one content for ever",
                hint=f"have it proposed again, as version {newest + 1}",
            )

    def _in_conflict(self, what: str) -> RemoteRefused:
        return RemoteRefused(
            f"{what} is in conflict with what {self._repository.place} has become",
            hint="have it proposed again, on top of that",
        )

    def _merge(self, before: Refs) -> str:
        """Merge it, and give the commit; if somebody else did at the same time, it is as good.

        `before` is what was there when it was checked: another proposal may have been faster.
        """
        refusal: RemoteError | None = None
        try:
            self.pulls.merge(self.number)
        except (RemoteRace, RemoteRefused) as error:
            refusal = error
        found = self.pulls.find(self.number)
        if found.merged:
            return found.merged
        refs = self._repository.refs()
        if refs != replace(before, pulls={}):
            self._check_number(found.proposal.location, refs, main_branch(self.pulls, refs))
        if found.conflicts:
            raise self._in_conflict(found.proposal.location)
        raise refusal or RemoteUnreachable(
            f"the Hub says that it merged {found.proposal.location}, and that it did not",
            hint="try again",
        )

    def _finish(self, what: str, commit: str, before: Snapshot | None) -> Pushed:
        """Tag the commit that it ended in, if that is what was reviewed and changed nothing else.

        `before` is the main branch, if it was looked at before the merge: if nothing else has
        changed since then, it need not be asked what was there in the moment of the merge.
        """
        merged = Snapshot(self._repository, commit)
        if not self._parcel.is_at(merged.listed):
            raise RemoteRace(
                f"{what} was merged, and another {self.reviewed.label} came with it",
                why="nobody reviewed that, so it was not tagged: nobody can pull it as a version",
                hint="review it again; if it is not wanted, take it back at "
                + self.pulls.page(self.number),
            )
        if before is None or foreign(before.listed, merged.listed):
            merged, others = settled(merged)
            self._refuse_more(what, others)
        commit = complete(self._parcel, merged, what)
        try:
            self._repository.tag(tag(self._version), commit)
        except RemoteRace:
            there = self._repository.refs().versions.get(self._version)
            if there is None:
                raise
            if there != commit:
                return self._tagged(there)
        return Pushed(self._location, commit, already_there=False)

    def _refuse_more(self, what: str, others: list[str]) -> None:
        """Raise RemoteRefused if a merge has changed more than a version may."""
        if others:
            raise RemoteRefused(
                f"{what} was merged, and {named(others)} came with it",
                why="no version has such files, so it was not tagged: nobody can pull it",
                hint=f"put that back by a commit to {MAIN}, then review it again: "
                + self.pulls.page(self.number),
            )

    def _close(self, found: PullRequest, refs: Refs) -> None:
        """Close it if it waits although its very version is there; who may not, leaves it open."""
        if found.proposal.status not in (DRAFT, OPEN):
            return
        with suppress(WeightpatchError):
            commit = proposed_commit(self.pulls, refs, self.number)
            if self._parcel.is_at(self._repository.listing(commit)):
                self.pulls.close(self.number, f"This is {self._location} already.")

    def _tagged(self, commit: str) -> Pushed:
        """Of a number that has a tag: say that it is this, or raise RemoteRefused."""
        if not self._parcel.is_at(self._repository.listing(commit)):
            raise RemoteRefused(
                f"{self._location} is there already, and is something else",
                why="a number stands for one content for ever",
                hint="have it proposed again, under the next number",
            )
        return Pushed(self._location, commit, already_there=True)

    @property
    def _location(self) -> str:
        return f"{self._repository.place}@{tag(self._version)}"


def _changes_more(what: str, others: list[str]) -> RemoteRefused:
    return RemoteRefused(
        f"{what} would also change {named(others)}",
        why="a version is the files of a patch, its card and attestations",
        hint="have it proposed again without that",
    )
