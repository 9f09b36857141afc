"""weightpatch.json: what a build was made of, and what stands in it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..checkpoints.checkpoint_files import INDEX, TensorInfo
from ..errors import CheckpointRefused, LimitExceeded, ManifestError
from ..format import jsonfile
from ..format.fields import Fields
from ..format.manifest import TensorRecord
from ..format.names import quoted

RECORD = "weightpatch.json"
CONFIG = "config.json"
FORMAT = "weightpatch-build/1"
MAX_BYTES = 64 << 20
MAX_DEPTH = 32
"""Builds on top of each other, each the base for which the next one's patches were made."""


@dataclass(frozen=True)
class Applied:
    """A version that is in a build."""

    name: str
    version: int
    digest: str

    @property
    def label(self) -> str:
        """`namespace/name@version`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class AppliedOperation:
    """One operation on one tensor, and the digest of the version that it came with."""

    patch: str
    kind: str
    size: int
    norm: float
    relative_norm: float


@dataclass(frozen=True)
class BuildRecord:
    """What a build was made of.

    `tensors` are those of the base that differ in the build, `result` what they became. One with no
    `operations` was padded with zeros, because another layer was widened. `files` are the sha256 of
    all other files; `originals` the text that the base had in those that had to be changed. `under`
    is the record of the base, if that is itself a build and the patches were made for it as it is.
    """

    base_id: str
    base_revision: str | None
    tensors: Mapping[str, TensorRecord]
    result: Mapping[str, TensorRecord]
    patches: Sequence[Applied]
    operations: Mapping[str, Sequence[AppliedOperation]]
    files: Mapping[str, str]
    originals: Mapping[str, str] = field(default_factory=dict)
    under: "BuildRecord | None" = None

    def to_bytes(self) -> bytes:
        """Canonical JSON; no time in it, so the same build is the same bytes."""
        return jsonfile.canonical(self.to_json(), what=RECORD)

    def to_json(self) -> dict[str, Any]:
        """The content as plain JSON values."""
        under = None if self.under is None else self.under.to_json()
        return {"format": FORMAT, **asdict(replace(self, under=None)), "under": under}

    @property
    def layers(self) -> "list[BuildRecord]":
        """Records of all builds on top of each other, the lowest first and this one last."""
        return [*(self.under.layers if self.under else []), self]

    @property
    def results(self) -> Mapping[str, TensorRecord]:
        """What all changed tensors of the build became, those of lower builds too."""
        return {name: tensor for layer in self.layers for name, tensor in layer.result.items()}

    @classmethod
    def from_bytes(cls, data: bytes) -> "BuildRecord":
        """Read weightpatch.json strictly; raises ManifestError."""
        return cls._parse(jsonfile.parse_canonical(data, what=RECORD), MAX_DEPTH)

    @classmethod
    def _parse(cls, value: object, depth: int) -> "BuildRecord":
        if not depth:
            raise ManifestError(f"{RECORD} has more than {MAX_DEPTH} builds on top of each other")
        fields = Fields(value, RECORD)
        if fields.take("format") != FORMAT:
            raise ManifestError(
                f"{RECORD} is not of the format {FORMAT}", hint="a newer weightpatch may be needed"
            )
        record = cls(
            base_id=fields.line("base_id"),
            base_revision=fields.optional_line("base_revision"),
            tensors=_tensors(fields.mapping("tensors")),
            result=_tensors(fields.mapping("result")),
            patches=tuple(map(_applied, fields.items("patches"))),
            operations={
                name: tuple(_operation(name, each) for each in found)
                for name, found in _lists(fields.mapping("operations")).items()
            },
            files=_digests(fields.mapping("files")),
            originals=_texts(fields.mapping("originals")),
            under=None if (under := fields.take("under")) is None else cls._parse(under, depth - 1),
        )
        fields.done()
        _check_whole(record)
        return record


def is_build(folder: Path | str) -> bool:
    """Whether a folder holds a build."""
    return (Path(folder) / RECORD).is_file()


def read_record(folder: Path | str) -> BuildRecord:
    """The record of a build; raises CheckpointRefused if the folder is none, ManifestError."""
    if not is_build(folder):
        raise CheckpointRefused(
            f"{folder} is not a build",
            why=f"it holds no {RECORD}",
            hint="give the folder that `weightpatch apply --out` wrote",
        )
    with (Path(folder) / RECORD).open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise LimitExceeded(f"{RECORD} is larger than {MAX_BYTES} bytes")
    return BuildRecord.from_bytes(data)


def form(tensor: TensorInfo | TensorRecord) -> str:
    """Type and shape, as errors name them."""
    return f"{tensor.dtype} {list(tensor.shape)}"


def _check_whole(record: BuildRecord) -> None:
    if not set(record.tensors) == set(record.result) == set(record.operations):
        raise ManifestError(f"tensors, results and operations in {RECORD} name different tensors")
    known = {applied.digest for applied in record.patches}
    used = {each.patch for found in record.operations.values() for each in found}
    if not used <= known:
        raise ManifestError(f"{RECORD} has operations of a patch that it does not name")
    if not set(record.originals) <= set(record.files) & {CONFIG, INDEX}:
        raise ManifestError(f"{RECORD} has the original of a file that is never changed")
    for name, base in record.tensors.items():
        built = record.result[name]
        if base.dtype != built.dtype or len(base.shape) != len(built.shape):
            raise ManifestError(f"{RECORD} gives {name!r} another type or number of axes")
        if any(before > after for before, after in zip(base.shape, built.shape, strict=True)):
            raise ManifestError(f"{RECORD} makes {name!r} smaller than it was")


def _tensors(record: Mapping[str, object]) -> dict[str, TensorRecord]:
    return {name: TensorRecord.parse(name, value, RECORD) for name, value in record.items()}


def _applied(value: object) -> Applied:
    fields = Fields(value, f"a patch in {RECORD}")
    applied = Applied(fields.line("name"), fields.integer("version"), fields.digest("digest"))
    fields.done()
    return applied


def _operation(tensor: str, value: object) -> AppliedOperation:
    fields = Fields(value, f"an operation of {tensor!r} in {RECORD}")
    operation = AppliedOperation(
        patch=fields.digest("patch"),
        kind=fields.line("kind"),
        size=fields.integer("size", least=1),
        norm=fields.number("norm"),
        relative_norm=fields.number("relative_norm"),
    )
    fields.done()
    return operation


def _lists(record: Mapping[str, Any]) -> Mapping[str, list[Any]]:
    if not all(isinstance(value, list) for value in record.values()):
        raise ManifestError(f"operations in {RECORD} must be lists")
    return record


def _digests(record: Mapping[str, object]) -> dict[str, str]:
    fields = Fields(record, f"files in {RECORD}")
    return {_file_name(name): fields.digest(name) for name in record}


def _texts(record: Mapping[str, object]) -> dict[str, str]:
    if not all(isinstance(text, str) for text in record.values()):
        raise ManifestError(f"originals in {RECORD} must be texts")
    return {_file_name(name): str(text) for name, text in record.items()}


def _file_name(name: str) -> str:
    if "/" in name or "\0" in name or name in ("", ".", ".."):
        raise ManifestError(
            f"{RECORD} names the file {quoted(name)}, which cannot be one of a build"
        )
    return name
