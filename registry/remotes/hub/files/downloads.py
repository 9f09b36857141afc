"""Fetching a file so that what is used of it is what the Hub lists."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .....patches.errors import DigestMismatch, SizeMismatch
from .....patches.progress import Progress, silent
from ..repository.listed import Listed
from ..repository.repository import Repository

Used = TypeVar("Used")


def fetch(
    repository: Repository,
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
