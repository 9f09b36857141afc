"""What lies at the root of a patch's main branch, where the newest version is."""

from collections.abc import Iterable, Mapping

from .....patches.errors import InputError
from .....patches.format.manifest import Manifest
from .....patches.format.names import quoted
from .....patches.format.patch import CARD, MANIFEST
from ...errors import RemoteRefused
from ..files.snapshot import Snapshot
from ..repository.listed import Listed
from ..repository.repository import MAIN, Refs, Repository

_HARMLESS = frozenset({".gitattributes", ".gitignore", CARD, "LICENSE", "LICENSE.md"})


def main_head(repository: Repository, refs: Refs) -> str:
    """The newest commit of the main branch; raises RemoteRefused if there is no such branch."""
    if MAIN not in refs.branches:
        raise RemoteRefused(
            f"{repository.place} has no branch {MAIN}", hint="make it on the repository's page"
        )
    return refs.branches[MAIN]


def newest_version(repository: Repository, refs: Refs, listed: Mapping[str, Listed]) -> int:
    """The newest version there, with a tag or only at the root, of which `listed` are the files.

    Raises RemoteRefused if the repository is not a patch.
    """
    head = main_head(repository, refs)
    newest = max(refs.versions, default=0)
    if MANIFEST not in listed:
        require_harmless(repository, listed)
    elif head not in refs.versions.values():
        newest = max(newest, root_manifest(repository, head).version)
    return newest


def require_harmless(repository: Repository, paths: Iterable[str]) -> None:
    """Raise RemoteRefused unless a repository without a version holds what any new one may."""
    foreign = sorted(set(paths) - _HARMLESS)
    if foreign:
        raise RemoteRefused(
            f"{repository.place} is not a patch: it holds {quoted(foreign[0])}",
            why="nothing was changed there",
            hint="push to a repository that is the patch's own",
        )


def root_manifest(repository: Repository, head: str) -> Manifest:
    """Read the manifest at the root; raises RemoteRefused if that is not possible."""
    try:
        return Manifest.from_bytes(Snapshot(repository, head).manifest())
    except InputError as error:
        raise RemoteRefused(
            f"{repository.place} holds a {MANIFEST} that cannot be read",
            why=error.message,
            hint="nothing was changed there",
        ) from None
