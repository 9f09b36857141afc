"""A file as the Hub lists it and as it should be, and fetching it so that they are the same."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from ....patches.digests import BLOCK, is_sha256
from ....patches.errors import DigestMismatch, SizeMismatch
from ....patches.progress import Progress, silent
from ..errors import RemoteUnreachable
from ..location import is_commit

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile, RepoSibling

    from .repository import Repository

Used = TypeVar("Used")


@dataclass(frozen=True)
class Listed:
    """A file at a commit: path, size, and its sha256 if it is a large file, else its git sha1."""

    path: str
    size: int
    sha256: str | None
    git: str

    @classmethod
    def read(cls, entry: "RepoFile | RepoSibling") -> Self:
        """Take over what the Hub said; raises RemoteUnreachable if it makes no sense."""
        path = getattr(entry, "path", None) or getattr(entry, "rfilename", None)
        size = entry.lfs.size if entry.lfs else entry.size
        digest = entry.lfs.sha256 if entry.lfs else None
        git = entry.blob_id or ""
        named = is_commit(git) and (digest is None or is_sha256(digest))
        if not named or not isinstance(path, str) or type(size) is not int or size < 0:
            raise RemoteUnreachable(
                "the Hub's list of files makes no sense", hint="is HF_ENDPOINT really a Hub?"
            )
        return cls(path, size, digest, git)


@dataclass(frozen=True)
class Content:
    """Size and both digests of a content, to compare with what the Hub lists."""

    size: int
    sha256: str
    git: str

    @classmethod
    def of(cls, source: Path | bytes) -> Self:
        """Hash a file or bytes."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        plain = hashlib.sha256()
        git = _git(size)
        for block in _blocks(source):
            plain.update(block)
            git.update(block)
        return cls(size, plain.hexdigest(), git.hexdigest())

    def is_at(self, listed: Listed | None) -> bool:
        """Whether the Hub lists this content."""
        if listed is None or listed.size != self.size:
            return False
        return listed.sha256 == self.sha256 if listed.sha256 else listed.git == self.git


def require_listed(source: Path | bytes, listed: Listed, *, progress: Progress = silent) -> None:
    """Raise SizeMismatch or DigestMismatch if a content is not the one that the Hub lists."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size != listed.size:
        raise SizeMismatch(
            f"{listed.path} has {size} bytes, the Hub lists {listed.size}",
            hint="try again; if it stays so, do not trust this source",
        )
    if _digest(source, listed, progress) != (listed.sha256 or listed.git):
        raise DigestMismatch(
            f"the bytes of {listed.path} are not those that the Hub lists",
            why="the download was damaged, and was so again when it was repeated",
            hint="try again; if it stays so, do not trust this source",
        )


def _digest(source: Path | bytes, listed: Listed, progress: Progress) -> str:
    """The one digest of a content that the Hub lists: of these, files have gigabytes."""
    digest = hashlib.sha256() if listed.sha256 else _git(listed.size)
    done = 0
    for block in _blocks(source):
        digest.update(block)
        done += len(block)
        progress(f"check {listed.path}", done, listed.size)
    progress(f"check {listed.path}", 0, 0)
    return digest.hexdigest()


def _git(size: int) -> "hashlib._Hash":
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def fetch(
    repository: "Repository",
    commit: str,
    listed: Listed,
    use: Callable[[Path], Used],
    *,
    snapshot: bool = False,
    progress: Progress = silent,
) -> Used:
    """Download a file into a cache and hand it to `use`, which must hash it.

    No digest of what is downloaded is checked before, and a damaged file lies under the name of the
    good one. So if `use` raises SizeMismatch or DigestMismatch, the file is thrown out of the cache
    and downloaded once more; if it is wrong again, the error is raised and nothing stays. A file of
    a `snapshot` lies in the Hub's own cache, beside the others of its commit.
    """
    path = repository.download(listed, commit, snapshot=snapshot, progress=progress)
    try:
        return use(path)
    except (SizeMismatch, DigestMismatch):
        _throw_out(path)
    path = repository.download(listed, commit, snapshot=snapshot, force=True, progress=progress)
    try:
        return use(path)
    except (SizeMismatch, DigestMismatch):
        _throw_out(path)
        raise


def _throw_out(path: Path) -> None:
    """Delete a file of a cache and what it stands for, but nothing outside of the caches."""
    from huggingface_hub import constants

    caches = [
        Path(cache).resolve() for cache in (constants.HF_HUB_CACHE, constants.HF_ASSETS_CACHE)
    ]
    for found in (path.resolve(), path.parent.resolve() / path.name):
        if any(map(found.is_relative_to, caches)):
            found.unlink(missing_ok=True)


def _blocks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
