"""Look at a version on the Hub by its manifest alone, which is hashed; nothing else is fetched."""

from dataclasses import replace

from ....patches.digests import sha256
from ....patches.format.manifest import FileRecord, Manifest
from ....patches.progress import Progress, silent
from ..base import read_manifest
from ..catalogue import Glimpse
from ..errors import RemoteNotFound
from ..location import HUB, HubLocation, is_commit, tag
from .files import Listed
from .parcel import is_attestation
from .repository import Repository
from .snapshot import Snapshot


def look(name: str, location: HubLocation, *, progress: Progress = silent) -> Glimpse:
    """Read the manifest that a tag, branch or commit stands for; without one, the newest version's.

    Raises RemoteError, and the InputError that says what is wrong with the manifest.
    """
    repository = Repository(location.repository or name, progress)
    revision = location.revision
    if revision is None or location.version is not None:
        return _version(repository, location.version)
    commit = revision if is_commit(revision) else _resolved(repository, revision)
    found = _glimpse(repository, commit, None)
    return replace(found, location=f"{HUB}://{repository.name}@{commit}")


def _version(repository: Repository, version: int | None) -> Glimpse:
    """A version by its tag, as `pull` finds it, and which others there are."""
    there = repository.refs().versions
    if not there:
        raise RemoteNotFound(
            f"{repository.name} on the Hub has no versions",
            why="it has no tag v1, v2, …",
            hint="it is not a patch, or its first push was cut off",
        )
    number = max(there) if version is None else version
    if number not in there:
        raise RemoteNotFound(
            f"the Hub has no {repository.name}@{number}",
            why=f"versions there: {', '.join(map(str, sorted(there)))}",
            hint="name one",
        )
    found = _glimpse(repository, there[number], number)
    where = f"{HUB}://{repository.name}@{tag(number)}"
    return replace(found, location=where, versions=tuple(sorted(there)))


def _resolved(repository: Repository, revision: str) -> str:
    try:
        return repository.resolve(revision)
    except RemoteNotFound as error:
        if revision.isdigit():
            error.hint = f"version {revision} is written {HUB}://{repository.name}@v{revision}"
        raise


def _glimpse(repository: Repository, commit: str, version: int | None) -> Glimpse:
    snapshot = Snapshot(repository, commit, repository.progress)
    data = snapshot.manifest()
    manifest = read_manifest(data, repository.patch, version)
    return Glimpse(
        manifest,
        sha256(data),
        location="",
        revision=commit,
        versions=None,
        attestations=sum(map(is_attestation, snapshot.listed)),
        broken=tuple(_broken(manifest, snapshot)),
    )


def _broken(manifest: Manifest, snapshot: Snapshot) -> list[str]:
    return [
        name
        for name, record in sorted(manifest.files.items())
        if not _agree(record, snapshot.listed.get(name))
    ]


def _agree(record: FileRecord, listed: Listed | None) -> bool:
    """Whether what the Hub lists can be the file; of a small one it says no sha256."""
    if listed is None or listed.size != record.size:
        return False
    return listed.sha256 in (None, record.sha256)
