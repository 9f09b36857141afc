"""A file as the Hub lists it, and whether a content is that."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .....patches.digests import BLOCK, is_sha256
from .....patches.errors import DigestMismatch, SizeMismatch
from .....patches.progress import Progress, silent
from ...errors import RemoteUnreachable
from ...location import is_commit
from ..asking.errors import NO_HUB

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile, RepoSibling


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
            raise RemoteUnreachable("the Hub's list of files makes no sense", hint=NO_HUB)
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


def _blocks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
