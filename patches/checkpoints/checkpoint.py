"""A base on disk: a folder of safetensors files in the layout that transformers writes."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..arithmetic import dtypes
from ..digests import DigestCache, Stamp, file_stamp, sha256, sha256_range
from ..errors import CheckpointRefused
from ..format import jsonfile
from .checkpoint_files import INDEX, PICKLES, SINGLE, TensorInfo, read_headers, weight_files

__all__ = ["INDEX", "PICKLES", "SINGLE", "Checkpoint", "TensorInfo"]


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
        path: Path | str,
        *,
        id: str | None = None,  # noqa: A002 - the word of the design
        revision: str | None = None,
        cache: DigestCache | None = None,
    ) -> "Checkpoint":
        """Read the headers of a checkpoint folder, not its weights.

        Raises CheckpointRefused if there is none, if it is made of pickle files, or if its index
        does not agree with its files; FormatError if a file is not well-formed.
        """
        path = Path(path)
        if not path.is_dir():
            raise CheckpointRefused(
                f"{path} is not a folder",
                hint="give the folder of a checkpoint, or a Hub id as org/model@revision",
            )
        contents = weight_files(path)
        # Taken before the headers are read, so that no digest is kept for a later content.
        stamps = {file: file_stamp(file) for file in contents}
        return cls(
            path,
            read_headers(contents),
            stamps,
            _read_config(path),
            id=id or _printable(path.resolve().name),
            revision=revision,
            cache=cache,
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the weights."""
        return tuple(self._stamps)

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
        for file in self.files:
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


def _printable(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)
