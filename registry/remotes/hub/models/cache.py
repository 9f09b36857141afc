"""A model in the Hub's cache, found and hashed without asking the Hub."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .....patches.checkpoints.checkpoint_files import INDEX, SINGLE, read_index, require_shards
from .....patches.digests import DigestCache, is_sha256
from .....patches.errors import DigestMismatch, SizeMismatch
from .....patches.progress import Progress
from ...errors import RemoteUnreachable
from ...location import is_commit
from ..repository.listed import Listed
from .files import BESIDES, require_known


@dataclass(frozen=True)
class CachedModel:
    """What the Hub's cache holds of a model at a revision."""

    id: str
    revision: str

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}"

    def folder(self) -> Path | None:
        """The folder of the commit that the revision last stood for; its name is the commit."""
        found = (self._find(name) for name in (SINGLE, INDEX, BESIDES[0]))
        return next((path.parent for path in found if path), None)

    def check(self, digests: DigestCache | None, progress: Progress) -> Path:
        """Give the folder if the weights in it are all there and what the Hub once sent.

        Raises RemoteUnreachable if something is missing, DigestMismatch if it is damaged.
        """
        folder = self.folder()
        if folder is None:
            raise RemoteUnreachable(
                f"{self} is not in the Hub's cache, and offline mode is on",
                hint="unset HF_HUB_OFFLINE, or name the commit of a copy that is in the cache",
            )
        for name in (*self._weights(folder), *BESIDES):
            if (folder / name).is_file():
                self._check_file(folder / name, digests, progress)
        return folder

    def _weights(self, folder: Path) -> Iterator[str]:
        if (folder / SINGLE).is_file():
            yield SINGLE
            return
        if not (folder / INDEX).is_file():
            raise self._partial(SINGLE)
        yield INDEX
        shards = read_index(folder / INDEX)
        require_shards(shards, there=lambda _name: True)
        for name in shards:
            if not (folder / name).is_file():
                raise self._partial(name)
            yield name

    def _partial(self, name: str) -> RemoteUnreachable:
        return RemoteUnreachable(
            f"the Hub's cache holds only a part of {self}, and offline mode is on",
            why=f"{name} is missing",
            hint="unset HF_HUB_OFFLINE: what is missing is then fetched",
        )

    def _check_file(self, path: Path, digests: DigestCache | None, progress: Progress) -> None:
        """The cache links to a content by its digest, unless it has to do without links."""
        digest = path.readlink().name if path.is_symlink() else ""
        if not is_sha256(digest) and not is_commit(digest):
            return
        sha256 = digest if is_sha256(digest) else None
        listed = Listed(path.name, path.stat().st_size, sha256, "" if sha256 else digest)
        try:
            require_known(path, listed, digests, progress)
        except (SizeMismatch, DigestMismatch):
            raise DigestMismatch(
                f"{path.name} of {self} was damaged in the Hub's cache",
                why="its bytes are not those of its name, and offline mode is on",
                hint="unset HF_HUB_OFFLINE: it is then fetched anew",
            ) from None

    def _find(self, name: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.id, name, revision=self.revision)
        return Path(path) if isinstance(path, str) else None


def remember(model: str, revision: str, commit: str) -> None:
    """Note in the Hub's cache what a branch or tag stands for, so that offline mode knows it.

    It is a mere note: where it cannot be written, offline mode finds the model by its commit only.
    A cache can be read-only, and has no room for both a branch `a` and a branch `a/b`.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=model, repo_type="model")
    ref = Path(constants.HF_HUB_CACHE) / folder / "refs" / revision
    with suppress(OSError):
        if ref.is_file() and ref.read_text() == commit:
            return
        ref.parent.mkdir(parents=True, exist_ok=True)
        partial = ref.with_name(f"{ref.name}.{secrets.token_hex(4)}.tmp")
        try:
            partial.write_text(commit)
            partial.replace(ref)
        finally:
            partial.unlink(missing_ok=True)
