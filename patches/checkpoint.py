"""A base on disk: a folder of safetensors files in the layout that transformers writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dtypes, jsonfile
from .digests import DigestCache, file_stamp, sha256, sha256_range
from .errors import CheckpointRefused, WeightpatchError
from .safetensors_file import CHECKPOINT, Record, read_header

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: its file, type, shape, and bytes [start, stop) of the file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Checkpoint:
    """A folder of safetensors files, its tensors known by name, read on demand, never mapped."""

    def __init__(
        self,
        path: Path,
        tensors: Mapping[str, TensorInfo],
        config: Mapping[str, Any],
        *,
        id: str,  # noqa: A002 - the word of the design
        revision: str | None,
        cache: DigestCache | None,
    ) -> None:
        self.path = path
        self.tensors = tensors
        self.config = config
        self.id = id
        self.revision = revision
        self._cache = cache
        self._digests: dict[str, str] = {}

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        id: str | None = None,  # noqa: A002 - the word of the design
        revision: str | None = None,
        cache: DigestCache | None = None,
    ) -> "Checkpoint":
        """Read the headers of a checkpoint folder, not its weights.

        Raises CheckpointRefused if there is none, if it is made of pickle files, or if its index
        does not agree with its files.
        """
        if not path.is_dir():
            raise CheckpointRefused(
                f"{path} is not a folder",
                hint="give the folder of a checkpoint, or a Hub id as org/model@revision",
            )
        tensors = _read_tensors(path)
        return cls(
            path,
            tensors,
            _read_config(path),
            id=id or path.resolve().name,
            revision=revision,
            cache=cache,
        )

    @cached_property
    def tied(self) -> Mapping[str, str]:
        """Names that are not stored because they share another tensor, and that tensor's name."""
        if not self.config.get("tie_word_embeddings", False):
            return {}
        for head, embedding in (
            ("lm_head.weight", "model.embed_tokens.weight"),
            ("lm_head.weight", "transformer.wte.weight"),
        ):
            if embedding in self.tensors and head not in self.tensors:
                return {head: embedding}
        return {}

    def resolve(self, name: str) -> str:
        """The stored tensor that `name` means; raises CheckpointRefused if there is none."""
        stored = self.tied.get(name, name)
        if stored not in self.tensors:
            raise CheckpointRefused(f"{self.id} has no tensor {name!r}")
        return stored

    def read(self, name: str) -> NDArray[np.generic]:
        """The stored bits of a tensor, in its shape (bfloat16 as uint16).

        Raises Unsupported for a type that cannot be patched.
        """
        info = self.tensors[name]
        kind = dtypes.storage(info.dtype)
        with info.file.open("rb") as file:
            file.seek(info.start)
            data = bytearray(info.stop - info.start)
            if file.readinto(data) != len(data):
                raise CheckpointRefused(f"{info.file} became shorter while it was read")
        return np.frombuffer(data, dtype=kind).reshape(info.shape)

    def digest(self, name: str) -> str:
        """sha256 of the stored bytes of one tensor."""
        if name not in self._digests:
            info = self.tensors[name]
            kept = self._cache.get(info.file) if self._cache else {}
            self._digests.update(kept)
            if name not in kept:
                with info.file.open("rb") as file:
                    self._digests[name] = sha256_range(file, info.start, info.stop)
        return self._digests[name]

    def digests(self) -> dict[str, str]:
        """sha256 of every tensor; what was hashed is kept in the cache."""
        for file in sorted({info.file for info in self.tensors.values()}):
            self._digest_file(file)
        return {name: self._digests[name] for name in sorted(self.tensors)}

    def _digest_file(self, file: Path) -> None:
        names = [name for name, info in self.tensors.items() if info.file == file]
        kept = self._cache.get(file) if self._cache else {}
        self._digests.update({name: kept[name] for name in names if name in kept})
        if all(name in self._digests for name in names):
            return
        stamp = file_stamp(file)
        for name in names:
            self.digest(name)
        if self._cache:
            self._cache.put(file, {name: self._digests[name] for name in names}, stamp)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over name, type, shape and digest of every tensor: one name for these weights."""
        digests = self.digests()
        return sha256(
            jsonfile.canonical(
                {
                    name: [info.dtype, list(info.shape), digests[name]]
                    for name, info in self.tensors.items()
                },
                what="fingerprint",
            )
        )

    @cached_property
    def tokenizer_digest(self) -> str | None:
        """sha256 of tokenizer.json, if the checkpoint has one."""
        file = self.path / "tokenizer.json"
        return sha256(file.read_bytes()) if file.is_file() else None


def _read_tensors(path: Path) -> dict[str, TensorInfo]:
    if (path / INDEX).is_file():
        return _read_shards(path)
    if (path / SINGLE).is_file():
        return _read_file(path / SINGLE)
    if any(found for pattern in PICKLES for found in path.glob(pattern)):
        raise CheckpointRefused(
            f"{path} holds pickle files",
            why="opening a pickle can run any code, so weightpatch never does",
            hint="convert it where you trust it: AutoModelForCausalLM.from_pretrained(SOURCE)"
            ".save_pretrained(TARGET, safe_serialization=True)",
        )
    raise CheckpointRefused(
        f"{path} holds no checkpoint",
        why=f"neither {SINGLE} nor {INDEX} is there",
        hint="give the folder that save_pretrained wrote",
    )


def _read_file(file: Path) -> dict[str, TensorInfo]:
    try:
        with file.open("rb") as stream:
            header = read_header(stream, CHECKPOINT, what=file.name)
    except OSError as error:
        raise CheckpointRefused(f"{file} cannot be read: {error.strerror}") from None
    return {name: _info(file, record) for name, record in header.tensors.items()}


def _info(file: Path, record: Record) -> TensorInfo:
    return TensorInfo(file, record.dtype, record.shape, record.start, record.stop)


def _read_shards(path: Path) -> dict[str, TensorInfo]:
    index = jsonfile.parse((path / INDEX).read_bytes(), what=INDEX)
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointRefused(f"{INDEX} has no weight_map")
    for shard in set(map(str, weight_map.values())):
        if Path(shard).name != shard or not (path / shard).is_file():
            raise CheckpointRefused(
                f"{INDEX} names the shard {shard!r}, which is not a file beside it",
                hint="the download may be incomplete; fetch the checkpoint again",
            )
    tensors: dict[str, TensorInfo] = {}
    for shard in sorted(set(weight_map.values())):
        found = _read_file(path / shard)
        meant = {name for name, file in weight_map.items() if file == shard}
        if set(found) != meant:
            odd = sorted(set(found) ^ meant)[0]
            raise CheckpointRefused(
                f"{INDEX} and {shard} disagree about {odd!r}",
                hint="the checkpoint is damaged; fetch it again",
            )
        tensors.update(found)
    return tensors


def _read_config(path: Path) -> Mapping[str, Any]:
    file = path / "config.json"
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_bytes())
    except (ValueError, RecursionError, WeightpatchError) as error:
        raise CheckpointRefused(f"{file} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointRefused(f"{file} is not a JSON object")
    return config
