"""The pull requests of a repository of the Hub: each thing we ask of them, checked, our errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from .....patches.format.proposal import titled_version
from ...errors import RemoteNotFound, RemoteUnreachable
from ...location import ON_HUB, proposal_location
from ...proposals import DRAFT, MERGED, OPEN, STATES, Proposal, Text
from ..asking.errors import NO_HUB, one_line
from ..repository.repository import Repository, commit

if TYPE_CHECKING:
    from huggingface_hub import (
        CommitOperationAdd,
        CommitOperationDelete,
        Discussion,
        DiscussionWithDetails,
    )

MAX_WAITING = 500
_MAX_NUMBER = 999_999_999
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class PullRequest:
    """One pull request, which may be in conflict with the main branch.

    `merged` is the commit that it ended in, if it is merged.
    """

    proposal: Proposal
    conflicts: bool
    merged: str | None


@dataclass(frozen=True)
class PullRequests:
    """Those of one repository; nothing is asked before a method is called.

    Every method raises RemoteError, after asking again where a failure may pass.
    """

    repository: Repository

    def page(self, number: int) -> str:
        """The address at which people read and talk about one."""
        return f"{self.repository.api.endpoint}/{self.repository.name}/discussions/{number}"

    def waiting(self) -> list[Proposal]:
        """The newest `MAX_WAITING` that are open or drafts, newest first."""

        def ask() -> list[Proposal]:
            found = self.repository.api.get_repo_discussions(
                self.repository.name, discussion_type="pull_request", discussion_status="open"
            )
            return [self._read(one) for one in islice(found, MAX_WAITING) if one.is_pull_request]

        waiting = {
            one.number: one for one in self.repository.ask(ask) if one.status in (DRAFT, OPEN)
        }
        return [waiting[number] for number in sorted(waiting, reverse=True)]

    def last_merged(self) -> int | None:
        """The highest number among the newest `MAX_WAITING` that are merged, if there is one."""

        def ask() -> list[int]:
            found = self.repository.api.get_repo_discussions(
                self.repository.name, discussion_type="pull_request", discussion_status="closed"
            )
            newest = [self._read(one) for one in islice(found, MAX_WAITING) if one.is_pull_request]
            return [one.number for one in newest if one.status == MERGED]

        return max(self.repository.ask(ask), default=None)

    def find(self, number: int) -> PullRequest:
        """Read one; raises RemoteNotFound if there is none, or if it is a mere discussion."""
        place = proposal_location(ON_HUB, self.repository.name, number)
        try:
            found = self.repository.ask(lambda: self._details(number))
        except RemoteNotFound as error:
            raise RemoteNotFound(
                f"there is no proposal {place}, or the Hub does not show it to you",
                why=error.why,
                hint=error.hint,
            ) from None
        if found is None:
            raise RemoteNotFound(
                f"{place} is a discussion, and proposes nothing",
                hint=f"read it at {self.page(number)}",
            )
        return found

    def open(
        self,
        operations: "Sequence[CommitOperationAdd | CommitOperationDelete]",
        text: Text,
        *,
        parent: str,
        made: Callable[[], tuple[int, str] | None],
    ) -> tuple[int, str]:
        """Open one of one commit on top of `parent`; its number and the commit.

        Were it asked for twice, there would be two. So if it fails in a way that may pass, `made`
        says first whether it was made after all.
        """

        def ask() -> tuple[int, str]:
            opened = self.repository.send(operations, text.title, text.description, parent=parent)
            return _number(opened.pr_num), commit(opened.oid)

        return self._ask_once(ask, made)

    def merge(self, number: int) -> None:
        """Merge one into the main branch, unless that is done."""
        api, name = self.repository.api, self.repository.name

        def is_merged() -> bool | None:
            return self.find(number).proposal.status == MERGED or None

        def ask() -> bool:
            api.merge_pull_request(name, number)
            return True

        self._ask_once(ask, is_merged)

    def close(self, number: int, comment: str) -> None:
        """Close one, with a comment, unless that is done."""
        api, name = self.repository.api, self.repository.name

        def is_closed() -> bool | None:
            return self.find(number).proposal.status not in (DRAFT, OPEN) or None

        def ask() -> bool:
            api.change_discussion_status(name, number, "closed", comment=comment)
            return True

        self._ask_once(ask, is_closed)

    def _ask_once(self, ask: Callable[[], Answer], answered: Callable[[], Answer | None]) -> Answer:
        """Repeat what is not safe to repeat, if `answered` says that it was not done."""
        asked = False

        def ask_anew() -> Answer:
            nonlocal asked
            if asked and (answer := answered()) is not None:
                return answer
            asked = True
            return ask()

        return self.repository.ask(ask_anew)

    def _details(self, number: int) -> PullRequest | None:
        """Read a pull request; None if it is a mere discussion."""
        found: DiscussionWithDetails = self.repository.api.get_discussion_details(
            self.repository.name, number
        )
        proposal = self._read(found)
        if proposal.number != number:
            raise _senseless()
        if not found.is_pull_request:
            return None
        merged = commit(found.merge_commit_oid) if proposal.status == MERGED else None
        return PullRequest(proposal, bool(found.conflicting_files), merged)

    def _read(self, found: "Discussion") -> Proposal:
        """Take over what the Hub said; raises RemoteUnreachable if it makes no sense."""
        number = _number(found.num)
        texts = (found.title, found.author)
        if found.status not in STATES or not all(isinstance(text, str) for text in texts):
            raise _senseless()
        title = one_line(found.title)
        return Proposal(
            number,
            title,
            one_line(found.author),
            found.created_at.replace(tzinfo=None).isoformat(timespec="seconds") + "Z",
            found.status,
            proposal_location(ON_HUB, self.repository.name, number),
            titled_version(title, self.repository.patch),
        )


def _number(number: object) -> int:
    if type(number) is not int or not 0 < number <= _MAX_NUMBER:
        raise _senseless()
    return number


def _senseless() -> RemoteUnreachable:
    return RemoteUnreachable(
        "what the Hub says about a pull request makes no sense",
        hint=f"try again; if it stays so, {NO_HUB}",
    )
