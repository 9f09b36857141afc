"""A model on the Hub: which of its files a base needs, and fetching those that are not here yet."""

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from .....patches.checkpoints.checkpoint_files import (
    INDEX,
    MAX_JSON,
    PICKLES,
    SINGLE,
    read_index,
    require_shards,
)
from .....patches.digests import DigestCache, file_stamp
from .....patches.errors import CheckpointRefused, NoSpace
from .....patches.progress import Progress, silent
from ...errors import RemoteUnreachable
from ..asking.errors import NO_HUB
from ..files.downloads import fetch
from ..repository.listed import Listed, require_listed
from ..repository.repository import Repository

BESIDES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "chat_template.jinja",
)
"""What is fetched besides the weights, where it is there."""
SPARE = 64 << 20
"""Bytes of the disk that a download leaves free."""
SHOWN = 32 << 20
"""Bytes of a file above which it is told how far its hashing is."""
_WHOLE = ""
"""The name under which the digest of a whole file is kept."""


@dataclass(frozen=True)
class Arrival:
    """What is about to be downloaded: so many files and bytes of a model, into the Hub's cache."""

    model: str
    commit: str
    files: int
    size: int
    cache: Path


Announce = Callable[[Arrival], None]


@dataclass(frozen=True)
class ModelFiles:
    """The files at one commit of a model; every method raises RemoteError and InputError.

    `digests` remembers which files were hashed and not touched since.
    """

    repository: Repository
    commit: str
    listed: Mapping[str, Listed]
    digests: DigestCache | None
    progress: Progress

    def fetch(self, announce: Announce) -> Path:
        """Have all that a base needs in the Hub's cache, and give the folder it lies in.

        A file that is there already is hashed, unless this was done before; a damaged one is
        fetched anew. What was fetched before an error stays. Raises NoSpace before it begins.
        """
        weights = self._weights()
        besides = [name for name in BESIDES if name in self.listed]
        files = [self.listed[name] for name in (*besides, *weights)]
        missing = [file for file in files if not self._is_here(file)]
        total = sum(file.size for file in missing)
        if missing:
            arrival = Arrival(self.repository.name, self.commit, len(missing), total, _cache())
            _require_room(arrival)
            announce(arrival)
        folder, done = Path(), 0
        for file in files:
            is_missing = file in missing
            folder = self._fetch(file, self._part(done, total) if is_missing else None).parent
            done += file.size if is_missing else 0
        return folder

    def _weights(self) -> Collection[str]:
        """The weight files, a single one before shards, as Checkpoint and transformers do."""
        if SINGLE in self.listed:
            return [SINGLE]
        if INDEX in self.listed:
            return [*self._shards(self.listed[INDEX]), INDEX]
        if any(Path(name).match(pattern) for name in self.listed for pattern in PICKLES):
            raise CheckpointRefused(
                f"{self.repository.name} has its weights in pickle files only",
                why="opening a pickle can run any code, so weightpatch never does",
                hint="look for a revision with safetensors: many models have one at refs/pr/N",
            )
        raise CheckpointRefused(
            f"{self.repository.name} holds no checkpoint",
            why=f"neither {SINGLE} nor {INDEX} is there",
            hint="give a model that transformers can load",
        )

    def _shards(self, index: Listed) -> Collection[str]:
        if index.size > MAX_JSON:
            raise CheckpointRefused(f"{INDEX} is larger than {MAX_JSON} bytes")
        shards = read_index(self._fetch(index, None))
        require_shards(shards, there=self.listed.__contains__)
        return shards

    def _is_here(self, file: Listed) -> bool:
        """Whether the cache holds something of that name and size."""
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(self.repository.name, file.path, revision=self.commit)
        return isinstance(cached, str) and Path(cached).stat().st_size == file.size

    def _fetch(self, file: Listed, progress: Progress | None) -> Path:
        path = fetch(
            self.repository,
            self.commit,
            file,
            lambda path: require_known(path, file, self.digests, self.progress),
            snapshot=True,
            progress=progress or self.progress,
        )
        if path.parent.name != self.commit:
            raise RemoteUnreachable(
                f"the Hub gives {file.path} of another commit than it was asked for",
                hint=f"{NO_HUB} Do not trust this source",
            )
        return path

    def _part(self, before: int, total: int) -> Progress:
        """Progress on one file, told as progress on all that is missing."""

        def tell(_phase: str, done: int, _size: int | None) -> None:
            self.progress(f"download {self.repository.name}", before + done, total)

        return tell


def require_known(
    path: Path, file: Listed, digests: DigestCache | None, progress: Progress
) -> Path:
    """Give back `path` if its content is the one that is listed, hashed now or before.

    Raises SizeMismatch, DigestMismatch.
    """
    stamp = file_stamp(path)
    known = digests.get(path, stamp).get(_WHOLE) if digests else None
    if known is None or known != file.sha256 or path.stat().st_size != file.size:
        require_listed(path, file, progress=progress if file.size > SHOWN else silent)
        if digests and file.sha256:
            digests.put(path, {_WHOLE: file.sha256}, stamp)
    return path


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _require_room(arrival: Arrival) -> None:
    place = next(folder for folder in (arrival.cache, *arrival.cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < arrival.size + SPARE:
        raise NoSpace(
            f"{arrival.model} needs {arrival.size + SPARE:,} bytes in the Hub's cache, "
            f"{free:,} are free",
            why=f"the cache is {arrival.cache}",
            hint="free some space, or set HF_HOME to a folder on another disk",
        )
