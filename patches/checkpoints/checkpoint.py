"""A base on disk: a folder of safetensors files in the layout that transformers writes."""

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arithmetic import dtypes
from ..arithmetic.parallel import ordered
from ..digests import DigestCache, Stamp, file_stamp, sha256, sha256_file, sha256_range
from ..errors import CheckpointRefused, DigestMismatch, Unsupported
from ..format import jsonfile
from ..format.names import quoted
from ..stored_array import StoredArray
from .checkpoint_files import (
    INDEX,
    MAX_JSON,
    PICKLES,
    SINGLE,
    TensorInfo,
    read_headers,
    read_limited,
    weight_files,
)

_TIED = (
    ("lm_head.weight", "model.embed_tokens.weight"),
    ("lm_head.weight", "transformer.wte.weight"),
    ("lm_head.weight", "wte.weight"),
)

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
        self.stamps = stamps
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
        return tuple(self.stamps)

    @cached_property
    def tied(self) -> Mapping[str, str]:
        """Names of tensors that are shares of another one, and that one's name.

        Most are not stored. One that is stored all the same counts if it has the same bytes;
        otherwise transformers does not tie it either.
        """
        if not self.config.get("tie_word_embeddings", False):
            return {}
        for head, embedding in _TIED:
            if embedding in self.tensors and self._is_share(head, embedding):
                return {head: embedding}
        return {}

    def _is_share(self, name: str, shared: str) -> bool:
        if name not in self.tensors:
            return True
        info, other = self.tensors[name], self.tensors[shared]
        if (info.dtype, info.shape) != (other.dtype, other.shape):
            return False
        return self.digest(name) == self.digest(shared)

    def copies(self, name: str) -> list[str]:
        """Other tensors that are stored although they are shares of `name`."""
        shares = [share for share, stored in self.tied.items() if stored == name]
        return [share for share in shares if share in self.tensors]

    def resolve(self, name: str) -> str:
        """The stored tensor that `name` means; raises CheckpointRefused if there is none."""
        stored = self.tied.get(name, name)
        if stored not in self.tensors:
            raise CheckpointRefused(f"{self.id} has no tensor {name!r}")
        return stored

    def require_unquantised(self) -> None:
        """Raise Unsupported if the configuration says that the weights are quantised."""
        quantisation = self.config.get("quantization_config")
        if quantisation is None:
            return
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
        named = f" ({quoted(str(method))})" if method else ""
        raise Unsupported(
            f"{self.id} is quantised{named} and cannot be patched",
            why="quantised weights have no exact sum with a delta",
            hint="apply the patch to the unquantised checkpoint and quantise the result",
        )

    def array(self, name: str) -> StoredArray:
        """The stored bits of a tensor, still in their file (bfloat16 as uint16).

        Raises Unsupported for a type that cannot be patched.
        """
        info = self.tensors[name]
        return StoredArray(info.file, dtypes.storage(info.dtype), info.shape, info.start)

    def read(self, name: str) -> NDArray[np.generic]:
        """The stored bits of a tensor, in its shape; raises Unsupported, SizeMismatch."""
        return self.array(name)[:]

    def digest(self, name: str) -> str:
        """sha256 of the stored bytes of one tensor."""
        return self.digests([name])[name]

    def digests(self, names: Iterable[str] | None = None) -> dict[str, str]:
        """sha256 of some tensors, or of every one, each hashed once by one of several threads.

        What was hashed is kept in the cache.
        """
        wanted = sorted(self.tensors if names is None else names)
        for file in {self.tensors[name].file for name in wanted if name not in self._digests}:
            self._digests.update(self._kept(file))
        missing = [name for name in wanted if name not in self._digests]
        self._digests.update(zip(missing, ordered(self._hash, missing), strict=True))
        for file in {self.tensors[name].file for name in missing}:
            self._keep(file)
        return {name: self._digests[name] for name in wanted}

    def known_digest(self, name: str) -> str | None:
        """The digest of a tensor that was hashed before, now or as the cache remembers it."""
        if name not in self._digests:
            kept = self._kept(self.tensors[name].file)
            self._digests = {**kept, **self._digests}
        return self._digests.get(name)

    def require_unchanged(self, names: Iterable[str]) -> None:
        """Raise DigestMismatch if a tensor is not any more what it was when it was hashed.

        Looks at the files' times first, and hashes again only where they changed: a hard link made
        by somebody else changes a time, too.
        """
        for name in names:
            info = self.tensors[name]
            if file_stamp(info.file) != self.stamps[info.file] and self._hash(name) != self.digest(
                name
            ):
                raise DigestMismatch(
                    f"{name} of the base changed while it was read",
                    hint="let nothing write into the base, and try again",
                )

    def _hash(self, name: str) -> str:
        info = self.tensors[name]
        with info.file.open("rb", buffering=0) as file:
            return sha256_range(file, info.start, info.stop)

    def _keep(self, file: Path) -> None:
        if self._cache:
            known = {
                name: self._digests[name]
                for name, info in self.tensors.items()
                if info.file == file and name in self._digests
            }
            self._cache.put(file, known, self.stamps[file])

    def _kept(self, file: Path) -> Mapping[str, str]:
        return self._cache.get(file, self.stamps[file]) if self._cache else {}

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
        return sha256_file(file) if file.is_file() else None


def _read_config(path: Path) -> Mapping[str, Any]:
    file = path / "config.json"
    if not file.is_file():
        return {}
    # Not read strictly: some models keep Infinity in their configuration.
    try:
        config = json.loads(read_limited(file, MAX_JSON))
    except (ValueError, RecursionError) as error:
        raise CheckpointRefused(f"{file} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise CheckpointRefused(f"{file} is not a JSON object")
    return config


def _printable(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)
