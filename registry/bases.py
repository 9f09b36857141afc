"""BASE on the command line: a folder, or a model on the Hub fetched into the Hub's own cache."""

from pathlib import Path

from ..patches.checkpoints.checkpoint import Checkpoint
from ..patches.digests import DigestCache
from ..patches.errors import CheckpointRefused
from ..patches.format.front_matter import is_hub_id
from ..patches.format.names import quoted
from ..patches.progress import Progress, silent
from .paths import user_path
from .remotes.errors import RemoteError, RemoteUnreachable
from .remotes.hub.models.cache import CachedModel, remember
from .remotes.hub.models.files import Announce, Arrival, ModelFiles
from .remotes.hub.repository.repository import MAIN, Repository
from .remotes.location import is_commit, is_revision

MAX_ID = 96


def _tell_nobody(_arrival: Arrival) -> None:
    """Say nothing of what is about to be downloaded."""


def open_base(
    spec: str,
    *,
    cache: DigestCache | None = None,
    progress: Progress = silent,
    announce: Announce = _tell_nobody,
) -> Checkpoint:
    """Open the checkpoint that BASE names: a folder, or `org/model[@revision]` on the Hub.

    A folder goes before a model of the same name. Of a model, only configuration, tokenizer and
    safetensors weights are fetched, at the one commit that the revision stands for now, and only
    what the Hub's cache has not; `announce` is told before how much that is. Each file is hashed,
    those in the cache too, unless `cache` knows that it was done. In offline mode the Hub's cache
    must hold all. Raises CheckpointRefused, PathRefused, RemoteError, NoSpace, and SizeMismatch or
    DigestMismatch for a download that stays damaged.
    """
    folder = user_path(spec)
    if folder.is_dir():
        return Checkpoint.open(folder, cache=cache)
    model = _parse(spec)
    files = DigestCache(cache.folder / "files") if cache else None
    try:
        if _offline():
            snapshot = model.check(files, progress)
        else:
            snapshot = _download(model, files, progress, announce)
    except RemoteError as error:
        reason = f"; {error.why}" if error.why else ""
        error.why = f"there is no folder {quoted(spec)}, so it was asked of the Hub{reason}"
        raise
    return Checkpoint.open(snapshot, id=model.id, revision=snapshot.name, cache=cache)


def _parse(spec: str) -> CachedModel:
    name, at, revision = spec.partition("@")
    if not _is_model(name) or (at and not is_revision(revision)):
        raise CheckpointRefused(
            f"{quoted(spec)} is neither a folder nor a model on the Hub",
            hint="give the folder of a checkpoint, or a Hub id as org/model@revision",
        )
    return CachedModel(name, revision or MAIN)


def _is_model(name: str) -> bool:
    """Whether a model could be called so; the first ones on the Hub have no organisation."""
    whole = name if "/" in name else f"models/{name}"
    return len(name) <= MAX_ID and is_hub_id(whole)


def _offline() -> bool:
    from huggingface_hub import constants

    return constants.is_offline_mode()


def _download(
    model: CachedModel, files: DigestCache | None, progress: Progress, announce: Announce
) -> Path:
    repository = Repository(model.id, progress)
    try:
        commit = model.revision
        if not is_commit(commit):
            commit = repository.resolve(commit)
        listed = repository.listing(commit, recursive=False)
    except RemoteUnreachable as error:
        if model.folder():
            error.hint = f"HF_HUB_OFFLINE=1 takes the copy in the Hub's cache; or {error.hint}"
        raise
    snapshot = ModelFiles(repository, commit, listed, files, progress).fetch(announce)
    if not is_commit(model.revision):
        remember(model.id, model.revision, commit)
    return snapshot
