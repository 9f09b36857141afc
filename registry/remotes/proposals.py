"""A proposal: a version that somebody would like to see in a patch that is not theirs.

It lies at the remote under a number of its own, beside the versions, until whoever keeps the patch
accepts it. It carries the name and number that it would then have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...patches.format.patch import Patch

DRAFT, OPEN, MERGED, CLOSED = STATES = ("draft", "open", "merged", "closed")


@dataclass(frozen=True)
class Text:
    """What a proposal says to whoever keeps the patch; `description` is Markdown.

    `author` is who proposes it, and `created` when, as in 2026-01-31T12:00:00Z, for a remote that
    does not know its users and has no clock; each is empty if it is not known.
    """

    title: str
    description: str
    author: str = ""
    created: str = ""


@dataclass(frozen=True)
class Proposal:
    """A proposal as a remote lists it; nothing of it was checked.

    `version` is the number that it would have, if its text says one.
    """

    number: int
    title: str
    author: str
    created: str
    status: str
    location: str
    version: int | None = None


@dataclass(frozen=True)
class Proposed:
    """Where a proposal now is, and the page where people talk about it, if there is one."""

    number: int
    location: str
    page: str | None
    revision: str | None
    already_there: bool


@dataclass(frozen=True)
class Candidate:
    """A proposed version that was fetched and checked, and the attestations found with it.

    `besides` are files that accepting it would change at the remote and that no version may change.
    """

    proposal: Proposal
    patch: Patch
    attestations: Mapping[str, bytes]
    revision: str | None
    besides: tuple[str, ...] = ()
