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
from ..errors import RemoteNotFound
from ..location import HUB, HubLocation, evaluations_branch, is_commit, parse_location, tag
from ..proposals import Candidate, Proposal, Proposed, Text
from .accepting import Accepting
from .fetching import fetch
from .files import Content
from .proposing import Proposing
from .pull_requests import PullRequests
from .push import Push
from .rehearsal import rehearse
from .repository import Refs, Repository
from .snapshot import Snapshot


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
        return sorted(_versions(self._repository(name)).versions)

    def holds(self, name: str, version: int, manifest: bytes) -> bool:
        """Whether the Hub lists this patch.json at the tag; raises as `Remote.holds`."""
        repository = self._repository(name)
        commit = _versions(repository).versions.get(version)
        listed = repository.listing(commit, recursive=False) if commit else {}
        return Content.of(manifest).is_at(listed.get(MANIFEST))

    def public(self) -> Self:
        """The same, on which a repository that a push makes is public."""
        return replace(self, private=False)

    def plan(self, bundle: Bundle) -> Plan:
        """Say what `push` would do, and change nothing; raises as `Remote.push`."""
        return rehearse(self._repository(bundle.name).name, bundle, private=self.private)

    def push(self, bundle: Bundle, *, progress: Progress = silent) -> Pushed:
        """Publish a version in one commit and a tag; raises as `Remote.push`."""
        repository = replace(self._repository(bundle.name), progress=progress)
        return Push(repository, bundle, self.private, progress).run()

    def pull(
        self, name: str, version: int | None, into: Path, *, progress: Progress = silent
    ) -> Pulled:
        """Fetch a version into `into`; raises as `Remote.pull`.

        Without a version, the revision of the location is fetched if it has one, else the highest.
        """
        repository = replace(self._repository(name), progress=progress)
        if version is None:
            version = self.location.version
        if version is None and self.location.revision:
            return self._pull_revision(repository, self.location.revision, into, progress)
        refs = _versions(repository)
        number = max(refs.versions) if version is None else version
        if number not in refs.versions:
            known = ", ".join(map(str, sorted(refs.versions)))
            raise RemoteNotFound(
                f"the Hub has no {name}@{number}", why=f"versions there: {known}", hint="name one"
            )
        commit = refs.versions[number]
        snapshot = Snapshot(repository, commit, progress)
        snapshot.save(into, number)
        late = refs.branches.get(evaluations_branch(number))
        notes = Snapshot(repository, late, progress) if late else snapshot
        where = f"{HUB}://{repository.name}@{tag(number)}"
        return Pulled(Patch.open(into), notes.attestations(), where, commit)

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
        return PullRequests(replace(self._repository(name), progress=progress))

    def _pull_revision(
        self, repository: Repository, revision: str, into: Path, progress: Progress
    ) -> Pulled:
        commit = revision if is_commit(revision) else repository.resolve(revision)
        snapshot = Snapshot(repository, commit, progress)
        snapshot.save(into, None)
        where = f"{HUB}://{repository.name}@{commit}"
        return Pulled(Patch.open(into), snapshot.attestations(), where, commit)

    def _repository(self, name: str) -> Repository:
        """The repository of a patch, which has the patch's name, perhaps with capitals."""
        if self.location.name not in (None, name):
            raise NameRefused(
                f"{name} cannot lie at {HUB}://{self.location.name}",
                why="a repository holds the patch of its own name, and cannot pass for another",
                hint=f"use {HUB}://{name}, or just {HUB}://",
            )
        return Repository(self.location.repository or check_patch_name(name))


def _versions(repository: Repository) -> Refs:
    refs = repository.refs()
    if not refs.versions:
        raise RemoteNotFound(
            f"{repository.name} on the Hub has no versions",
            why="it has no tag v1, v2, …",
            hint="it is not a patch, or the push that made it was cut off: push again",
        )
    return refs
