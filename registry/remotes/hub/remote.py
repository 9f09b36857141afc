"""The Hugging Face Hub as a remote: a patch is a model repository of its own name.

The newest version lies at the root of the main branch, each version has the tag `v<N>`. Every
answer is checked, and what is pulled is what the manifest promises or nothing.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ....patches.errors import NameRefused
from ....patches.format.names import check_patch_name
from ....patches.format.patch import MANIFEST, Patch
from ....patches.progress import Progress, silent
from ..base import Bundle, Plan, Pulled, Pushed
from ..catalogue import Found, Glimpse, Wanted
from ..errors import RemoteRefused
from ..location import ON_HUB, HubLocation, on_hub, parse_location
from ..proposals import Candidate, Proposal, Proposed, Text
from ..transfer import from_place
from .proposals.accepting import Accepting
from .proposals.fetching import fetch
from .proposals.proposing import Proposing
from .proposals.pull_requests import PullRequests
from .repository.listed import Content
from .repository.repository import Repository
from .searching import search
from .versions.looking import look
from .versions.push import Push
from .versions.rehearsal import rehearse
from .versions.tagged import Version, find, numbered, published


@dataclass(frozen=True)
class HubRemote:
    """Patches on the Hub; a repository that a push makes is private unless told otherwise."""

    location: HubLocation
    private: bool = True

    @classmethod
    def open(cls, location: str) -> Self:
        """Make a remote of `hf://` or `hf://namespace/name[@revision]`; raises NameRefused."""
        return cls(parse_location(location))

    def versions(self, name: str) -> list[int]:
        """Give the numbers that have a tag, in order; raises RemoteError."""
        return sorted(published(self._repository(name)).versions)

    def holds(self, name: str, version: int, manifest: bytes) -> bool:
        """Whether the Hub lists this patch.json at the tag; raises as `Remote.holds`."""
        repository = self._repository(name)
        commit = published(repository).versions.get(version)
        listed = repository.listing(commit, recursive=False) if commit else {}
        return Content.of(manifest).is_at(listed.get(MANIFEST))

    def public(self) -> Self:
        """The same, on which a repository that a push makes is public."""
        return replace(self, private=False)

    def plan(self, bundle: Bundle) -> Plan:
        """Say what `push` would do, and change nothing; raises as `Remote.push`."""
        return rehearse(self._whole(bundle.name).name, bundle, private=self.private)

    def push(self, bundle: Bundle, *, progress: Progress = silent) -> Pushed:
        """Publish a version in one commit and a tag; raises as `Remote.push`."""
        repository = replace(self._whole(bundle.name), progress=progress)
        return Push(repository, bundle, self.private, progress).run()

    def pull(
        self, name: str, version: int | None, into: Path, *, progress: Progress = silent
    ) -> Pulled:
        """Fetch a version into `into`; raises as `Remote.pull`.

        Without a version, the revision of the location is fetched if it has one, else the highest.
        """
        found = self._find(replace(self._repository(name), progress=progress), version)
        with from_place(found.location):
            found.snapshot.save(into, found.number)
            patch, attestations = Patch.open(into), found.attestations()
        return Pulled(patch, attestations, found.location, found.snapshot.commit)

    def search(self, wanted: Wanted, limit: int, *, progress: Progress = silent) -> Found:
        """Find patches in all of the Hub; raises as `Remote.search`, and LimitExceeded."""
        if self.location.name is not None:
            raise RemoteRefused(
                f"{self.location} is one patch, so there is nothing to search",
                hint=f"weightpatch show {self.location}, or search {ON_HUB}",
            )
        return search(wanted, limit, progress=progress)

    def look(self, name: str, *, progress: Progress = silent) -> Glimpse:
        """Read the manifest at the revision of the location, or the newest; as `Remote.look`."""
        return look(find(replace(self._repository(name), progress=progress), self.location))

    def propose(self, bundle: Bundle, text: Text, *, progress: Progress = silent) -> Proposed:
        """Open a pull request; raises as `Remote.propose`, and InputError for a changed file."""
        return Proposing(self._pulls(bundle.name, progress), bundle, text, progress).run()

    def proposals(self, name: str) -> list[Proposal]:
        """Give the newest pull requests that are open or drafts; raises RemoteError."""
        return self._pulls(name).waiting()

    def proposal(
        self, name: str, number: int, into: Path, *, progress: Progress = silent
    ) -> Candidate:
        """Fetch a pull request, whatever has become of it; raises as `Remote.proposal`."""
        return fetch(self._pulls(name, progress), number, into, progress)

    def accept(self, name: str, number: int, reviewed: Bundle) -> Pushed:
        """Merge a pull request and tag it; raises as `Remote.accept`, and InputError."""
        if reviewed.name != name:
            raise NameRefused(
                f"{reviewed.label} cannot become a version of {name}",
                hint="review a proposal that was made for it",
            )
        return Accepting(self._pulls(name), number, reviewed).run()

    def _pulls(self, name: str, progress: Progress = silent) -> PullRequests:
        return PullRequests(replace(self._whole(name), progress=progress))

    def _find(self, repository: Repository, number: int | None) -> Version:
        """The version of that number, or at the revision of the location, which must be one."""
        if self.location.revision is None:
            return numbered(repository, number)
        found = find(repository, self.location)
        if number not in (None, found.number):
            raise NameRefused(
                f"{repository.patch}@{number} is not what lies at {self.location}",
                why=f"that is {repository.patch}@{found.number}",
                hint="leave the number or the revision out",
            )
        return found

    def _whole(self, name: str) -> Repository:
        """The repository of a patch; raises NameRefused if one revision of it is meant."""
        if self.location.revision is not None:
            raise NameRefused(
                f"{self.location} is one state of a patch, and nothing is sent to that",
                hint=f"leave the revision out: {replace(self.location, revision=None)}",
            )
        return self._repository(name)

    def _repository(self, name: str) -> Repository:
        """The repository of a patch, which has the patch's name, perhaps with capitals."""
        own = self.location.name
        if own is not None and own != name:
            raise NameRefused(
                f"{name} cannot lie at {on_hub(own)}",
                why="a repository holds the patch of its own name, and cannot pass for another",
                hint=f"use {on_hub(name)}, or just {ON_HUB}",
            )
        return Repository(self.location.repository or check_patch_name(name))
