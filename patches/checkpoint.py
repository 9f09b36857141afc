"""A base on disk: a folder of safetensors files in the layout that transformers writes."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from . import dtypes, jsonfile
from .digests import DigestCache, Stamp, file_stamp, sha256, sha256_range
from .errors import CheckpointRefused, ManifestError
from .names import quoted
from .safetensors_file import CHECKPOINT, read_header

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")

_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.safetensors")
_FETCH_AGAIN = "the checkpoint is damaged; fetch it again"


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
        stamps: Mapping[Path, Stamp],
        config: Mapping[str, Any],
        *,
        id: str,  # noqa: A002 - the word of the design
        revision: str | None,
        cache: DigestCache | None,
    ) -> None:
        self.path = path
        self.tensors = tensors
        self._stamps = stamps
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
        does not agree with its files; FormatError if a file is not well-formed.
        """
        if not path.is_dir():
            raise CheckpointRefused(
                f"{path} is not a folder",
                hint="give the folder of a checkpoint, or a Hub id as org/model@revision",
            )
        contents = _weight_files(path)
        # Taken before the headers are read, so that no digest is kept for a later content.
        stamps = {file: file_stamp(file) for file in contents}
        return cls(
            path,
            _read_headers(contents),
            stamps,
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
            ("lm_head.weight", "wte.weight"),
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
            data = _read_exactly(file, info.stop - info.start)
        return np.frombuffer(data, dtype=kind).reshape(info.shape)

    def blocks(self, name: str, elements: int) -> Iterator[NDArray[np.generic]]:
        """The stored bits of a tensor, some rows at a time: [rows, columns], about `elements` each.

        Raises Unsupported for a type that cannot be patched.
        """
        info = self.tensors[name]
        kind = dtypes.storage(info.dtype)
        columns = max(1, prod(info.shape[1:]))
        step = max(1, elements // columns) * columns * kind.itemsize
        with info.file.open("rb") as file:
            file.seek(info.start)
            for start in range(info.start, info.stop, step):
                data = _read_exactly(file, min(step, info.stop - start))
                yield np.frombuffer(data, dtype=kind).reshape(-1, columns)

    def digest(self, name: str) -> str:
        """sha256 of the stored bytes of one tensor."""
        if name not in self._digests:
            info = self.tensors[name]
            self._digests.update(self._kept(info.file))
            if name not in self._digests:
                with info.file.open("rb") as file:
                    self._digests[name] = sha256_range(file, info.start, info.stop)
        return self._digests[name]

    def digests(self) -> dict[str, str]:
        """sha256 of every tensor; what was hashed is kept in the cache."""
        for file in self._stamps:
            self._digest_file(file)
        return {name: self._digests[name] for name in sorted(self.tensors)}

    def _digest_file(self, file: Path) -> None:
        names = [name for name, info in self.tensors.items() if info.file == file]
        kept = self._kept(file)
        found = {name: self.digest(name) for name in names}
        if self._cache and found != kept:
            self._cache.put(file, found, self._stamps[file])

    def _kept(self, file: Path) -> Mapping[str, str]:
        return self._cache.get(file, self._stamps[file]) if self._cache else {}

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


def _read_exactly(file: BinaryIO, size: int) -> bytearray:
    data = bytearray(size)
    if file.readinto(data) != size:  # type: ignore[attr-defined]
        raise CheckpointRefused(f"{file.name} became shorter while it was read")
    return data


def _weight_files(path: Path) -> Mapping[Path, frozenset[str] | None]:
    """The files that hold the weights, and which tensors each must have; None for any.

    A single file comes before an index, as in transformers.
    """
    if (path / SINGLE).is_file():
        return {path / SINGLE: None}
    if (path / INDEX).is_file():
        return _shards(path)
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


def _shards(path: Path) -> Mapping[Path, frozenset[str]]:
    weight_map = _read_index(path / INDEX)
    shards: dict[str, set[str]] = {}
    for name, shard in weight_map.items():
        shards.setdefault(shard, set()).add(name)
    for shard in shards:
        if not _SHARD.fullmatch(shard) or not (path / shard).is_file():
            raise CheckpointRefused(
                f"{INDEX} names the shard {quoted(shard)}, which is no safetensors file beside it",
                hint=_FETCH_AGAIN,
            )
    return {path / shard: frozenset(names) for shard, names in sorted(shards.items())}


def _read_index(file: Path) -> Mapping[str, str]:
    try:
        weight_map = jsonfile.parse(file.read_bytes(), what=INDEX).get("weight_map")
    except ManifestError as error:
        raise CheckpointRefused(error.message, hint=_FETCH_AGAIN) from None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointRefused(f"{INDEX} has no weight_map", hint=_FETCH_AGAIN)
    if not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointRefused(f"weight_map in {INDEX} must name files", hint=_FETCH_AGAIN)
    return weight_map


def _read_headers(contents: Mapping[Path, frozenset[str] | None]) -> dict[str, TensorInfo]:
    tensors: dict[str, TensorInfo] = {}
    for file, expected in contents.items():
        found = _read_header(file)
        if expected is not None and set(found) != expected:
            odd = min(set(found) ^ expected)
            raise CheckpointRefused(
                f"{INDEX} and {file.name} disagree about {quoted(odd)}", hint=_FETCH_AGAIN
            )
        tensors.update(found)
    return tensors


def _read_header(file: Path) -> dict[str, TensorInfo]:
    try:
        with file.open("rb") as stream:
            header = read_header(stream, CHECKPOINT, what=file.name)
    except OSError as error:
        raise CheckpointRefused(f"{file} cannot be read: {error.strerror}") from None
    return {
        name: TensorInfo(file, record.dtype, record.shape, record.start, record.stop)
        for name, record in header.tensors.items()
    }


def _read_config(path: Path) -> Mapping[str, Any]:
    file = path / "config.json"
    if not file.is_file():
        return {}
    # Not read strictly: some models keep Infinity in their configuration.
    try:
        config = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointRefused(f"{file} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointRefused(f"{file} is not a JSON object")
    return config
