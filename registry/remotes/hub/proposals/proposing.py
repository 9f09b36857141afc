"""Propose a version on the Hub: one pull request of one commit, compared once it is there."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from .....patches.errors import DigestMismatch
from .....patches.progress import Progress
from ...base import Bundle
from ...errors import RemoteError, RemoteNotFound, RemoteRefused
from ...location import proposal_location
from ...proposals import Proposed, Text
from ..asking.errors import one_line
from ..files.parcel import Parcel
from ..repository.listed import Listed
from ..repository.repository import Refs, Repository
from ..versions.main_branch import main_head, newest_version
from .pull_requests import PullRequests


@dataclass(frozen=True)
class Proposing:
    """One version on its way into somebody's repository; `text` is what its page will say."""

    pulls: PullRequests
    bundle: Bundle
    text: Text
    progress: Progress

    def run(self) -> Proposed:
        """Open a pull request, unless one of the same title and the same files waits there.

        Raises RemoteError, and DigestMismatch if something else arrived.
        """
        self._parcel.check()
        refs = self._refs()
        tagged = max(refs.versions)
        self._check_number(tagged, tagged)
        if found := self._find(refs):
            return self._proposed(*found, already_there=True)
        listed = self._repository.listing(main_head(self._repository, refs))
        self._check_number(newest_version(self._repository, refs, listed), tagged)
        return self._proposed(*self._open(refs, listed), already_there=False)

    @cached_property
    def _parcel(self) -> Parcel:
        return Parcel(self.bundle)

    @property
    def _repository(self) -> Repository:
        return self.pulls.repository

    def _refs(self) -> Refs:
        """What is there; raises RemoteNotFound if no version is."""
        hint = "check the name; if the patch is yours, push it there"
        try:
            refs = self._repository.refs(pulls=True)
        except RemoteNotFound as error:
            raise RemoteNotFound(error.message, why=error.why, hint=hint) from None
        if not refs.versions:
            head = main_head(self._repository, refs)
            newest_version(self._repository, refs, self._repository.listing(head))
            raise RemoteNotFound(
                f"{self._repository.place} has no version",
                why="there is nothing to improve on",
                hint=hint,
            )
        return refs

    def _check_number(self, newest: int, tagged: int) -> None:
        if self.bundle.version != newest + 1:
            hint = f"propose it as version {newest + 1}"
            if newest != tagged:
                hint = self._how_to_finish(newest)
            raise RemoteRefused(
                f"{self._repository.place} is at version {newest}, "
                f"and {self.bundle.label} is not the next",
                why="a proposal that is merged becomes the next version",
                hint=hint,
            )

    def _how_to_finish(self, newest: int) -> str:
        """What makes a version of what has no tag: most often it was merged by a click."""
        merged = None
        with suppress(RemoteError):
            merged = self.pulls.last_merged()
        place = f"{self._repository.place}/pr/{merged or 'N'}"
        return (
            f"whoever keeps it must first finish version {newest}, which has no tag yet: "
            f"weightpatch review {place} --merge"
            + ("" if merged else f", or weightpatch push {self._repository.patch}")
        )

    def _find(self, refs: Refs) -> tuple[int, str] | None:
        """The pull request that proposes this, and its commit, if there is one."""
        title = one_line(self.text.title)
        for proposal in self.pulls.waiting():
            commit = refs.pulls.get(proposal.number)
            if (
                commit is not None
                and proposal.title == title
                and self._parcel.is_at(self._repository.listing(commit))
            ):
                return proposal.number, commit
        return None

    def _open(self, refs: Refs, listed: Mapping[str, Listed]) -> tuple[int, str]:
        changed = self._parcel.missing(listed)
        total = sum(self._parcel.contents[path].size for path in changed)
        phase = f"propose {self.bundle.label}"
        self.progress(phase, 0, None)
        number, commit = self.pulls.open(
            self._parcel.operations(changed, self._parcel.stale(listed), self.progress),
            self.text,
            parent=main_head(self._repository, refs),
            made=lambda: self._find(self._repository.refs(pulls=True)),
        )
        arrived = self._repository.listing(f"refs/pr/{number}")
        if damaged := self._parcel.missing(arrived):
            raise DigestMismatch(
                f"{damaged[0]} did not arrive at {self._repository.place} as it was sent",
                why=f"so the proposal {number} there is not what was meant",
                hint=f"close it at {self.pulls.page(number)} and propose again",
            )
        self.progress(phase, total, total)
        return number, commit

    def _proposed(self, number: int, commit: str, *, already_there: bool) -> Proposed:
        location = proposal_location(self._repository.place, self._repository.name, number)
        return Proposed(number, location, self.pulls.page(number), commit, already_there)
