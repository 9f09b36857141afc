"""A version as files: hashed first, then read strictly, then its operations and requests."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import plugins
from ..arithmetic import dtypes
from ..digests import Stamp, file_stamp, sha256, sha256_file
from ..errors import LimitExceeded, ManifestError, NonFinite, PathRefused, RequestRefused
from ..operations.base import Array, Operation
from ..requests import EditRequest, dump_requests, parse_requests
from ..stored_array import Part, StoredArray
from . import jsonfile
from .manifest import FILES, FORMAT, MAX_BYTES, FileRecord, Manifest, OperationRecord
from .names import AUXILIARY, join_key, quoted, split_key
from .patch_files import (
    ATTESTATIONS,
    CARD,
    DELTA,
    MANIFEST,
    REQUESTS,
    check_entry,
    check_file,
    other_bytes,
    read_small,
)
from .safetensors_file import METADATA_KEY, Header, open_tensors, write_tensors

if TYPE_CHECKING:
    from torch import nn

    from ..checkpoints.checkpoint import Checkpoint
    from ..draft import Origin

__all__ = [
    "ATTESTATIONS",
    "CARD",
    "DELTA",
    "MANIFEST",
    "REQUESTS",
    "Draft",
    "Operations",
    "Patch",
    "content_digest",
    "file_record",
    "write_files",
]

MAX_REQUESTS_BYTES = 64 << 20
MAX_DELTA_BYTES = 16 << 30
MAX_AUXILIARY_BYTES = 64 << 20
"""All arrays together that are kept beside the operations and not applied."""

Operations = Mapping[str, Sequence[Operation]]


@dataclass(frozen=True)
class Patch:
    """One version: its manifest, and where its files lie."""

    manifest: Manifest
    files: Mapping[str, Path]
    digest: str
    stamp: Stamp = field(default_factory=list)
    """Of the delta file when it was hashed; none if it was not."""

    @classmethod
    def open(cls, folder: Path | str) -> "Patch":
        """Open a folder that holds the files of a version, and nothing else.

        The card and attestations may be there; they do not belong to the version.
        Raises PathRefused, ExtraFile, ManifestError, SizeMismatch, DigestMismatch.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise PathRefused(f"{folder} is not a folder", hint="give the folder of a patch")
        for entry in sorted(folder.iterdir()):
            check_entry(entry)
        return cls.from_files({name: folder / name for name in (MANIFEST, DELTA, REQUESTS)})

    @classmethod
    def from_files(cls, files: Mapping[str, Path]) -> "Patch":
        """Open a version from files that may lie anywhere; each is hashed before it is parsed.

        Raises PathRefused, ManifestError, LimitExceeded, SizeMismatch, DigestMismatch.
        """
        data = read_small(files[MANIFEST], MANIFEST, MAX_BYTES)
        manifest = Manifest.from_bytes(data)
        if manifest.files[REQUESTS].size > MAX_REQUESTS_BYTES:
            raise LimitExceeded(f"{REQUESTS} is larger than {MAX_REQUESTS_BYTES} bytes")
        _limit_delta(manifest.files[DELTA].size)
        stamps = {
            name: check_file(files[name], name, record) for name, record in manifest.files.items()
        }
        return cls(manifest, dict(files), sha256(data), stamps[DELTA])

    @classmethod
    def from_models(
        cls,
        before: "nn.Module | None",
        after: "nn.Module",
        folder: Path | str,
        *,
        base: "Checkpoint | Path | str",
        requests: Iterable[EditRequest | Mapping[str, Any]],
        name: str,
        author: str,
        created: datetime,
        message: str = "",
        licence: str | None = None,
        made_by: str = "",
    ) -> "Draft":
        """The patch that makes a model that anything has edited, written into an empty `folder`.

        `base` is the checkpoint that the model was loaded from. The delta is one of its weights:
        where the model is of a wider type, it leads to the edited weights rounded to the base's.
        `before` is the model before the edit, compared with the base; None to do without. Neither
        model is changed. Publish the draft with `Registry.publish`, or `apply` it with `as_patch`.
        `created` needs a time zone; `made_by` says what edited the model.

        Raises BaseMismatch if the models are none of this base, TargetExists if something is in
        the folder, and as `extract`.
        """
        from ..extraction.state_dicts import draft_from_models

        origin = _origin(name, author, created, message, licence)
        return draft_from_models(before, after, folder, base, requests, origin, made_by)

    @classmethod
    def from_state_dicts(
        cls,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any],
        folder: Path | str,
        *,
        base: "Checkpoint | Path | str",
        requests: Iterable[EditRequest | Mapping[str, Any]],
        name: str,
        author: str,
        created: datetime,
        message: str = "",
        licence: str | None = None,
        made_by: str = "",
    ) -> "Draft":
        """As `from_models`, of tensors by name, PyTorch's or NumPy's.

        Tensors that `after` lacks are as they were.
        """
        from ..extraction.state_dicts import draft_from

        origin = _origin(name, author, created, message, licence)
        return draft_from(before, after, folder, base, requests, origin, made_by=made_by)

    @property
    def label(self) -> str:
        """`namespace/name@version`."""
        return self.manifest.label

    @cached_property
    def operations(self) -> Operations:
        """The operations of each tensor, checked against manifest and grid.

        Raises FormatError, NameRefused, ManifestError, ShapeMismatch, NonFinite, OffGrid, TooBig,
        DigestMismatch, and PluginMissing for a kind that is not installed.
        """
        shapes = {name: record.shape for name, record in self.manifest.bases[0].tensors.items()}
        grouped = _group(self._tensors)
        for tensor in sorted(set(grouped) - set(shapes)):
            raise ManifestError(f"the delta changes {tensor!r}, which patch.json does not declare")
        operations = {
            tensor: _read_operations(self.manifest, tensor, grouped.get(tensor, {}), shape)
            for tensor, shape in shapes.items()
        }
        self.require_unchanged()
        return operations

    @cached_property
    def auxiliary(self) -> Mapping[str, Array]:
        """What is kept but not applied, by `<parameter>::aux.<what>`; raises as `operations`.

        Arrays of the types of weights come as float32, which holds them exactly; others as stored.
        """
        found = {
            key: _single(array[:]) for key, array in self._tensors.items() if _is_auxiliary(key)
        }
        _require_finite(found)
        self.require_unchanged()
        return found

    @cached_property
    def requests(self) -> tuple[EditRequest, ...]:
        """What the edit should do; raises RequestRefused, LimitExceeded, DigestMismatch."""
        data = read_small(self.files[REQUESTS], REQUESTS, MAX_REQUESTS_BYTES)
        if sha256(data) != self.manifest.files[REQUESTS].sha256:
            raise other_bytes(REQUESTS)
        requests = parse_requests(data)
        _require_some(requests)
        return requests

    def require_unchanged(self) -> None:
        """Raise DigestMismatch if the delta is not any more the one that was opened.

        Large tensors are read when they are needed; call this after they were. Raises as
        `from_files` if the file is gone.
        """
        delta = self.files[DELTA]
        if not delta.exists() or file_stamp(delta) != self.stamp:
            check_file(delta, DELTA, self.manifest.files[DELTA])

    @cached_property
    def _tensors(self) -> Mapping[str, StoredArray]:
        self.require_unchanged()
        tensors, metadata = open_tensors(self.files[DELTA], check=_check_sizes)
        if metadata not in ({}, {METADATA_KEY: FORMAT}):
            raise ManifestError(
                f"the metadata of {DELTA} contradicts patch.json",
                why=f"it may hold {METADATA_KEY}={FORMAT} and nothing else",
            )
        return tensors


@dataclass(frozen=True)
class Draft:
    """A patch that has no version number yet: its files in `folder`, its manifest numbered 1."""

    manifest: Manifest
    folder: Path

    def numbered(self, version: int) -> Manifest:
        """The manifest with its final number."""
        return replace(self.manifest, version=version)

    def as_patch(self) -> Patch:
        """The draft as a patch that can be tried before it is published."""
        (self.folder / MANIFEST).write_bytes(self.manifest.to_bytes())
        return Patch.open(self.folder)


def _origin(
    name: str, author: str, created: datetime, message: str, licence: str | None
) -> "Origin":
    """Raises ManifestError for a time without its zone."""
    from ..draft import Origin

    if created.utcoffset() is None:
        raise ManifestError(
            "created has no time zone", hint="give datetime.now(UTC), or another time with a zone"
        )
    time = created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Origin(name, author, time, message, licence)


def content_digest(manifest: Manifest) -> str:
    """sha256 over delta, requests and base tensors: equal for versions that do the same."""
    record = {
        "files": {name: file.sha256 for name, file in manifest.files.items()},
        "bases": sorted(
            [name, tensor.dtype, tensor.sha256]
            for base in manifest.bases
            for name, tensor in base.tensors.items()
        ),
    }
    return sha256(jsonfile.canonical(record, what="content"))


def write_files(
    folder: Path,
    operations: Operations,
    auxiliary: Mapping[str, Array],
    requests: Sequence[EditRequest],
) -> dict[str, FileRecord]:
    """Write delta and requests into `folder`, fsynced; gives their digests and sizes.

    Raises NonFinite, FormatError, NameRefused, RequestRefused, LimitExceeded.
    """
    _require_some(requests)
    _limit_auxiliary(sum(array.nbytes for array in auxiliary.values()))
    _require_finite({key: _single(array) for key, array in auxiliary.items()})
    tensors: dict[str, Part] = dict(auxiliary)
    for tensor, terms in operations.items():
        for index, term in enumerate(terms):
            for part, array in term.parts.items():
                tensors[join_key(tensor, term.kind, index, part)] = array
    _limit_delta(sum(array.nbytes for array in tensors.values()))
    lines = dump_requests(requests)
    if len(lines) > MAX_REQUESTS_BYTES:
        raise LimitExceeded(f"{REQUESTS} would be larger than {MAX_REQUESTS_BYTES} bytes")
    write_tensors(folder / DELTA, tensors, FORMAT)
    with (folder / REQUESTS).open("wb") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    return {name: file_record(folder / name) for name in sorted(FILES)}


def file_record(path: Path) -> FileRecord:
    """Digest and size of a file."""
    return FileRecord(sha256_file(path), path.stat().st_size)


def _require_some(requests: Sequence[EditRequest]) -> None:
    if not requests:
        raise RequestRefused(
            f"{REQUESTS} holds no request", why="a patch says what it should do, to be judged by it"
        )


def _check_sizes(header: Header) -> None:
    records = header.tensors.items()
    _limit_auxiliary(sum(found.stop - found.start for key, found in records if _is_auxiliary(key)))


def _limit_auxiliary(size: int) -> None:
    if size > MAX_AUXILIARY_BYTES:
        raise LimitExceeded(
            f"{DELTA} keeps {size} bytes that are not applied, more than {MAX_AUXILIARY_BYTES}"
        )


def _limit_delta(size: int) -> None:
    if size > MAX_DELTA_BYTES:
        raise LimitExceeded(f"{DELTA} takes {size} bytes, more than {MAX_DELTA_BYTES}")


def _require_finite(arrays: Mapping[str, Array]) -> None:
    for key, array in arrays.items():
        if not np.isfinite(array).all():
            raise NonFinite(f"{quoted(key)} holds NaN or infinity")


def _single(array: Array) -> Array:
    """float32 if it is stored as a type of weights."""
    stored = dtypes.NAMES.get(array.dtype)
    return dtypes.single(array, stored) if stored else array


def _is_auxiliary(key: str) -> bool:
    return split_key(key)[1] == AUXILIARY


def _group(tensors: Mapping[str, Part]) -> dict[str, dict[tuple[str, str], dict[str, Part]]]:
    """Parts by tensor, and within it by (kind, index)."""
    grouped: dict[str, dict[tuple[str, str], dict[str, Part]]] = {}
    for key, array in tensors.items():
        tensor, kind, rest = split_key(key)
        if kind == AUXILIARY:
            continue
        index, _, part = rest.partition(".")
        grouped.setdefault(tensor, {}).setdefault((kind, index), {})[part] = array
    return grouped


def _read_operations(
    manifest: Manifest,
    tensor: str,
    grouped: Mapping[tuple[str, str], Mapping[str, Part]],
    shape: tuple[int, ...],
) -> tuple[Operation, ...]:
    records = manifest.operations[tensor]
    expected = {(record.kind, str(index)) for index, record in enumerate(records)}
    if expected != set(grouped):
        raise ManifestError(
            f"patch.json and delta.safetensors declare different operations on {tensor!r}"
        )
    terms = []
    for index, record in enumerate(records):
        kind = plugins.load("operations", record.kind)
        term: Operation = kind.read(grouped[record.kind, str(index)], shape)
        _require_as_declared(term, record, tensor)
        terms.append(term)
    return tuple(terms)


def _require_as_declared(term: Operation, record: OperationRecord, tensor: str) -> None:
    # Norms of nearly cancelling factors may differ a little between machines.
    if term.size != record.size or not isclose(term.norm(), record.norm, rel_tol=1e-3):
        raise ManifestError(
            f"patch.json and {DELTA} contradict each other about {tensor!r}",
            why=f"declared: {record.kind} of size {record.size} and norm {record.norm:.6g}; "
            f"found: size {term.size} and norm {term.norm():.6g}",
        )
