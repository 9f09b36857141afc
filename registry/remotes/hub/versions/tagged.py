"""Which commit holds a version: the one that has its tag, however the version was named."""

from dataclasses import dataclass

from .....patches.format.names import quoted
from .....patches.format.patch import MANIFEST
from ...base import choose, read_manifest
from ...errors import RemoteNotFound, RemoteRefused
from ...location import HubLocation, evaluations_branch, is_commit, on_hub, tag
from ..files.snapshot import Snapshot
from ..repository.listed import Content
from ..repository.repository import Refs, Repository


@dataclass(frozen=True)
class Version:
    """A version that has its tag: the number, what lies at the tag, and what else is there."""

    number: int
    snapshot: Snapshot
    refs: Refs

    @property
    def location(self) -> str:
        """`hf://namespace/name@v1`."""
        return on_hub(self.snapshot.repository.name, tag(self.number))

    def attestations(self) -> dict[str, bytes]:
        """Fetch the attestations, also those that came late; raises RemoteError, InputError."""
        late = self.refs.branches.get(evaluations_branch(self.number))
        if late is None:
            return self.snapshot.attestations()
        return Snapshot(self.snapshot.repository, late, self.snapshot.progress).attestations()


def find(repository: Repository, location: HubLocation) -> Version:
    """The version that a location names, without a revision the newest; raises as the others."""
    if location.revision is None or location.version is not None:
        return numbered(repository, location.version)
    return at_revision(repository, location.revision)


def numbered(repository: Repository, number: int | None) -> Version:
    """The version of that number, or the newest; raises RemoteError."""
    refs = published(repository)
    found = choose(refs.versions, number, repository.patch, "the Hub")
    return Version(found, _snapshot(repository, refs.versions[found]), refs)


def at_revision(repository: Repository, revision: str) -> Version:
    """The version that lies at a branch or commit, if it has its tag, too.

    Anybody can propose a commit, and a branch can be ahead of what is published: only a tag says
    that something is a version. Raises RemoteRefused if no tag has this very patch.json,
    RemoteError, and the InputError that says what is wrong with the manifest.
    """
    commit = revision if is_commit(revision) else _resolved(repository, revision)
    there = _snapshot(repository, commit)
    data = there.manifest()
    number = read_manifest(data, repository.patch, None).version
    refs = repository.refs()
    tagged = refs.versions.get(number)
    if tagged is None:
        raise _unpublished(
            repository, revision, f"it has no tag {tag(number)}, so it is not published"
        )
    if tagged == commit:
        return Version(number, there, refs)
    version = _snapshot(repository, tagged)
    if not Content.of(data).is_at(version.listed.get(MANIFEST)):
        raise _unpublished(
            repository, revision, f"the tag {tag(number)} stands for another {MANIFEST}"
        )
    return Version(number, version, refs)


def published(repository: Repository) -> Refs:
    """What tags and branches stand for; raises RemoteNotFound if no tag is that of a version."""
    refs = repository.refs()
    if not refs.versions:
        raise RemoteNotFound(
            f"{repository.name} on the Hub has no versions",
            why="it has no tag v1, v2, …",
            hint="it is not a patch, or the push that made it was cut off: push again",
        )
    return refs


def _snapshot(repository: Repository, commit: str) -> Snapshot:
    return Snapshot(repository, commit, repository.progress)


def _resolved(repository: Repository, revision: str) -> str:
    try:
        return repository.resolve(revision)
    except RemoteNotFound as error:
        if revision.isdigit():
            error.hint = f"version {revision} is written {on_hub(repository.name, f'v{revision}')}"
        raise


def _unpublished(repository: Repository, revision: str, why: str) -> RemoteRefused:
    place = on_hub(repository.name)
    return RemoteRefused(
        f"what lies at {quoted(revision)} in {place} is not a version",
        why=why,
        hint=f"leave the revision out for the newest version; weightpatch review {place} lists "
        "what is proposed",
    )
