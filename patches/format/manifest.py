"""patch.json: what a version is, what it was made from and what it must give."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from ..digests import sha256
from ..errors import LimitExceeded, ManifestError
from . import jsonfile
from .fields import Fields, is_line
from .names import check_patch_name, check_tensor_name, quoted

FORMAT = "weightpatch/1"
MAX_BYTES = 1 << 20
REQUESTS = "requests.jsonl"
FILES = frozenset({"delta.safetensors", REQUESTS})


@dataclass(frozen=True)
class TensorRecord:
    """A tensor of the base as the patch expects it."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str

    @classmethod
    def parse(cls, name: str, record: object, where: str) -> "TensorRecord":
        """Read one record strictly; raises ManifestError."""
        fields = Fields(record, f"base tensor {name!r} in {where}")
        tensor = cls(fields.line("dtype"), fields.shape("shape"), fields.digest("sha256"))
        fields.done()
        if not prod(tensor.shape) or not tensor.shape:
            raise ManifestError(f"{name!r} in {where} is empty or a scalar: it cannot be patched")
        return tensor


@dataclass(frozen=True)
class BaseRecord:
    """A base that the patch fits: the tensors it touches, and what they become (sha256)."""

    id: str
    revision: str | None
    tokenizer: str | None
    tensors: Mapping[str, TensorRecord]
    result: Mapping[str, str]

    @property
    def label(self) -> str:
        """`id@revision`, or the id alone where there is no revision."""
        return f"{self.id}@{self.revision}" if self.revision else self.id


@dataclass(frozen=True)
class OperationRecord:
    """One term of the delta of one tensor.

    `size` is its rank or number of entries. `source` is the digest of the delta file that the term
    was first published in, null for this one: terms are summed in the order of these digests, so a
    composition of compositions is the same sum.
    """

    kind: str
    size: int
    norm: float
    relative_norm: float
    source: str | None = None


@dataclass(frozen=True)
class FileRecord:
    """A file of the version."""

    sha256: str
    size: int


@dataclass(frozen=True)
class MethodRecord:
    """What made the delta, with everything needed to make it again."""

    name: str
    version: str
    hyperparameters: Mapping[str, Any]
    seed: int | None
    sampled: Mapping[str, Any]
    statistics: Sequence[Mapping[str, Any]]
    device: str
    tools: Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """The content of patch.json; its sha256 is the version's digest."""

    name: str
    version: int
    bases: tuple[BaseRecord, ...]
    operations: Mapping[str, tuple[OperationRecord, ...]]
    files: Mapping[str, FileRecord]
    method: MethodRecord
    created: str
    author: str
    licence: str | None
    message: str
    parents: tuple[str, ...] = ()
    supersedes: str | None = None

    def to_bytes(self) -> bytes:
        """The canonical bytes (RFC 8785); raises ManifestError, LimitExceeded."""
        data = jsonfile.canonical(self.to_json(), what="patch.json")
        if len(data) > MAX_BYTES:
            raise LimitExceeded(f"patch.json would be larger than {MAX_BYTES} bytes")
        return data

    def to_json(self) -> dict[str, Any]:
        """The content as plain JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @property
    def digest(self) -> str:
        """sha256 of the canonical bytes."""
        return sha256(self.to_bytes())

    @property
    def label(self) -> str:
        """`namespace/name@version`."""
        return f"{self.name}@{self.version}"

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Read patch.json strictly; raises ManifestError, NameRefused, LimitExceeded."""
        if len(data) > MAX_BYTES:
            raise LimitExceeded(f"patch.json is larger than {MAX_BYTES} bytes")
        fields = Fields(jsonfile.parse_canonical(data, what="patch.json"), "patch.json")
        _check_format(fields.take("format"))
        manifest = cls(
            name=check_patch_name(fields.text("name")),
            version=fields.integer("version", least=1),
            bases=tuple(map(_base, fields.items("bases"))),
            operations={
                check_tensor_name(tensor): _operations(tensor, records)
                for tensor, records in fields.mapping("operations").items()
            },
            files={name: _file(name, record) for name, record in fields.mapping("files").items()},
            method=_method(fields.take("method")),
            created=fields.time("created"),
            author=fields.line("author"),
            licence=fields.optional_line("licence"),
            message=fields.text("message"),
            parents=fields.digests("parents"),
            supersedes=fields.optional_digest("supersedes"),
        )
        fields.done()
        _check_whole(manifest)
        return manifest


def _check_format(value: object) -> None:
    if value != FORMAT:
        raise ManifestError(
            f"patch.json has the format {quoted(str(value))}, this weightpatch reads {FORMAT!r}",
            hint="a newer weightpatch may be needed",
        )


def _check_whole(manifest: Manifest) -> None:
    if not manifest.operations:
        raise ManifestError("patch.json has no operations")
    if not manifest.bases:
        raise ManifestError("patch.json names no base")
    if set(manifest.files) != FILES:
        raise ManifestError(f"files in patch.json must be {', '.join(sorted(FILES))}")
    if manifest.files[REQUESTS].size == 0:
        raise ManifestError(
            f"{REQUESTS} is empty", why="a patch says with one request at least what it should do"
        )
    _check_bases(manifest)


def _check_bases(manifest: Manifest) -> None:
    known: list[Mapping[str, TensorRecord]] = []
    for base in manifest.bases:
        if not set(base.tensors) == set(base.result) == set(manifest.operations):
            raise ManifestError(
                f"operations, base tensors and results of {base.id!r} name different tensors"
            )
        if base.tensors in known:
            raise ManifestError(f"patch.json names the base {base.id!r} twice")
        known.append(base.tensors)
    for tensor in manifest.operations:
        if len({base.tensors[tensor].shape for base in manifest.bases}) != 1:
            raise ManifestError(f"the bases disagree about the shape of {tensor!r}")


def _base(record: object) -> BaseRecord:
    fields = Fields(record, "a base in patch.json")
    base = BaseRecord(
        id=fields.line("id"),
        revision=fields.optional_line("revision"),
        tokenizer=fields.optional_digest("tokenizer"),
        tensors={
            name: TensorRecord.parse(name, tensor, "patch.json")
            for name, tensor in fields.mapping("tensors").items()
        },
        result=_results(fields.mapping("result")),
    )
    fields.done()
    return base


def _results(record: dict[str, Any]) -> dict[str, str]:
    fields = Fields(record, "results in patch.json")
    return {name: fields.digest(name) for name in record}


def _operations(tensor: str, records: object) -> tuple[OperationRecord, ...]:
    if not isinstance(records, list) or not records:
        raise ManifestError(f"operations of {tensor!r} in patch.json must be a list, not empty")
    return tuple(_operation(tensor, record) for record in records)


def _operation(tensor: str, record: object) -> OperationRecord:
    fields = Fields(record, f"an operation of {tensor!r} in patch.json")
    operation = OperationRecord(
        kind=fields.line("kind"),
        size=fields.integer("size", least=1),
        norm=fields.number("norm"),
        relative_norm=fields.number("relative_norm"),
        source=fields.optional_digest("source"),
    )
    fields.done()
    return operation


def _file(name: str, record: object) -> FileRecord:
    fields = Fields(record, f"file {name!r} in patch.json")
    file = FileRecord(fields.digest("sha256"), fields.integer("size"))
    fields.done()
    return file


def _method(record: object) -> MethodRecord:
    fields = Fields(record, "method in patch.json")
    seed = fields.take("seed")
    if seed is not None and type(seed) is not int:
        raise ManifestError("seed in patch.json must be a whole number or null")
    method = MethodRecord(
        name=fields.line("name"),
        version=fields.line("version"),
        hyperparameters=fields.mapping("hyperparameters"),
        seed=seed,
        sampled=fields.mapping("sampled"),
        statistics=tuple(map(_statistic, fields.items("statistics"))),
        device=fields.line("device"),
        tools=_tools(fields.mapping("tools")),
    )
    fields.done()
    return method


def _statistic(record: object) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise ManifestError("each of the statistics in patch.json must be an object")
    return record


def _tools(record: dict[str, Any]) -> dict[str, str]:
    for name in record:
        if not is_line(name):
            raise ManifestError(f"the tool {quoted(name)} in patch.json is not of one line")
    fields = Fields(record, "tools in patch.json")
    return {name: fields.line(name) for name in record}
