"""BASE on the command line: a folder, or a model on the Hub fetched into the Hub's own cache."""

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..patches.checkpoints.checkpoint import INDEX, PICKLES, SINGLE, Checkpoint
from ..patches.digests import DigestCache
from ..patches.errors import CheckpointRefused, ManifestError
from ..patches.format import jsonfile
from ..patches.format.names import quoted
from ..patches.progress import Progress, silent
from .remotes.errors import RemoteError, RemoteUnreachable
from .remotes.hub.files import Listed, fetch, require_listed
from .remotes.hub.repository import Repository
from .remotes.location import is_commit

MAIN = "main"
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

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")
_SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")


def open_base(
    spec: str, *, cache: DigestCache | None = None, progress: Progress = silent
) -> Checkpoint:
    """Open the checkpoint that BASE names: a folder, or `org/model[@revision]` on the Hub.

    A folder goes before a model of the same name. Of a model, only configuration, tokenizer and
    safetensors weights are fetched, at the one commit that the revision stands for now; each file
    is hashed when it comes. In offline mode the Hub's cache must hold it. Raises CheckpointRefused,
    RemoteError, and SizeMismatch or DigestMismatch for a download that stays damaged.
    """
    folder = _folder(spec)
    if folder.is_dir():
        return Checkpoint.open(folder, cache=cache)
    model = _parse(spec)
    try:
        snapshot = _cached(model) if _offline() else _download(model, progress)
    except RemoteError as error:
        reason = f"; {error.why}" if error.why else ""
        error.why = f"there is no folder {quoted(spec)}, so it was asked of the Hub{reason}"
        raise
    return Checkpoint.open(snapshot.folder, id=model.id, revision=snapshot.commit, cache=cache)


def _folder(spec: str) -> Path:
    try:
        return Path(spec).expanduser()
    except RuntimeError:
        raise CheckpointRefused(
            f"{quoted(spec)} begins with the home folder of somebody who is not known here",
            hint="give the folder of a checkpoint by its whole path",
        ) from None


@dataclass(frozen=True)
class _Model:
    id: str
    revision: str

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}"


@dataclass(frozen=True)
class _Snapshot:
    folder: Path
    commit: str


def _parse(spec: str) -> _Model:
    name, at, revision = spec.partition("@")
    looks_right = len(name) <= 96 and _ID.fullmatch(name) and not re.search(r"--|\.\.", name)
    if not looks_right or (at and not _REVISION.fullmatch(revision)) or ".." in revision:
        raise CheckpointRefused(
            f"{quoted(spec)} is neither a folder nor a model on the Hub",
            hint="give the folder of a checkpoint, or a Hub id as org/model@revision",
        )
    return _Model(name, revision or MAIN)


def _offline() -> bool:
    from huggingface_hub import constants

    return constants.is_offline_mode()


def _cached(model: _Model) -> _Snapshot:
    """Find the model in the Hub's cache, without asking the Hub."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model.id, BESIDES[0], revision=model.revision)
    if not isinstance(path, str):
        raise RemoteUnreachable(
            f"{model} is not in the Hub's cache, and offline mode is on",
            hint="unset HF_HUB_OFFLINE, or name the commit of a copy that is in the cache",
        )
    folder = Path(path).parent
    return _Snapshot(folder, folder.name)


def _download(model: _Model, progress: Progress) -> _Snapshot:
    repository = Repository(model.id)
    commit = model.revision
    if not is_commit(commit):
        commit = repository.resolve(model.revision)
        _remember(model, commit)
    listed = repository.listing(commit, recursive=False)
    first = [name for name in (*BESIDES, INDEX) if name in listed]
    weights = _weights(model, listed)
    paths = {name: _fetch(repository, commit, listed[name], progress) for name in first}
    if INDEX in paths:
        weights = _shards(paths[INDEX], listed)
    for name in weights:
        paths[name] = _fetch(repository, commit, listed[name], progress)
    return _Snapshot(next(iter(paths.values())).parent, commit)


def _weights(model: _Model, listed: Mapping[str, Listed]) -> list[str]:
    if INDEX in listed:
        return []
    if SINGLE in listed:
        return [SINGLE]
    if any(Path(name).match(pattern) for name in listed for pattern in PICKLES):
        raise CheckpointRefused(
            f"{model} has its weights in pickle files only",
            why="opening a pickle can run any code, so weightpatch never does",
            hint="look for a revision with safetensors: many models have one at refs/pr/N",
        )
    raise CheckpointRefused(
        f"{model} holds no checkpoint",
        why=f"neither {SINGLE} nor {INDEX} is there",
        hint="give a model that transformers can load",
    )


def _shards(index: Path, listed: Mapping[str, Listed]) -> list[str]:
    try:
        weight_map = jsonfile.parse(index.read_bytes(), what=INDEX).get("weight_map")
    except ManifestError as error:
        raise CheckpointRefused(error.message, hint="the model is damaged") from None
    names: Iterable[object] = weight_map.values() if isinstance(weight_map, dict) else ()
    shards = {name for name in names if isinstance(name, str)}
    for name in sorted(shards):
        if not _SHARD.fullmatch(name) or name not in listed:
            raise CheckpointRefused(
                f"{INDEX} names the shard {quoted(name)}, which is not beside it"
            )
    return sorted(shards)


def _fetch(repository: Repository, commit: str, file: Listed, progress: Progress) -> Path:
    """Find a file in the cache, or download it and hash what came."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository.name, file.path, revision=commit)
    if isinstance(cached, str):
        return Path(cached)

    def check(path: Path) -> Path:
        require_listed(path, file)
        return path

    return fetch(repository, commit, file, check, progress=progress)


def _remember(model: _Model, commit: str) -> None:
    """Note in the Hub's cache what a branch or tag stands for, so that offline mode knows it."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=model.id, repo_type="model")
    ref = Path(constants.HF_HUB_CACHE) / folder / "refs" / model.revision
    if ref.is_file() and ref.read_text() == commit:
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    partial = ref.with_name(f"{ref.name}.{secrets.token_hex(4)}.tmp")
    partial.write_text(commit)
    partial.replace(ref)
