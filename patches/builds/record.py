"""A build: a patched checkpoint on disk, with the record of what was applied to what."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_files import TensorInfo
from ..errors import BaseMismatch, CheckpointRefused, ManifestError
from ..format import jsonfile
from ..format.fields import Fields
from ..format.manifest import TensorRecord

RECORD = "weightpatch.json"
FORMAT = "weightpatch-build/1"


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
class BuildRecord:
    """What a build was made of: touched tensors of the base, versions, and the results' sha256."""

    base_id: str
    base_revision: str | None
    tensors: Mapping[str, TensorRecord]
    patches: Sequence[Applied]
    result: Mapping[str, str]

    def to_bytes(self) -> bytes:
        """Canonical JSON; no time in it, so the same build is the same bytes."""
        return jsonfile.canonical({"format": FORMAT, **asdict(self)}, what=RECORD)

    @classmethod
    def from_bytes(cls, data: bytes) -> "BuildRecord":
        """Read weightpatch.json strictly; raises ManifestError."""
        fields = Fields(jsonfile.parse_canonical(data, what=RECORD), RECORD)
        if fields.take("format") != FORMAT:
            raise ManifestError(
                f"{RECORD} is not of the format {FORMAT}", hint="a newer weightpatch may be needed"
            )
        record = cls(
            base_id=fields.line("base_id"),
            base_revision=fields.optional_line("base_revision"),
            tensors={
                name: TensorRecord.parse(name, value, RECORD)
                for name, value in fields.mapping("tensors").items()
            },
            patches=tuple(map(_applied, fields.items("patches"))),
            result=_results(fields.mapping("result")),
        )
        fields.done()
        if set(record.tensors) != set(record.result):
            raise ManifestError(f"tensors and results in {RECORD} name different tensors")
        return record


@dataclass(frozen=True)
class Mismatch:
    """A tensor of a build that is not what its record says: another sha256, shape or type."""

    tensor: str
    expected: str
    found: str


def is_build(folder: Path | str) -> bool:
    """Whether a folder holds a build."""
    return (Path(folder) / RECORD).is_file()


def read_record(folder: Path | str) -> BuildRecord:
    """The record of a build; raises CheckpointRefused if the folder is none."""
    if not is_build(folder):
        raise CheckpointRefused(
            f"{folder} is not a build",
            why=f"it holds no {RECORD}",
            hint="give the folder that `weightpatch apply --out` wrote",
        )
    return BuildRecord.from_bytes((Path(folder) / RECORD).read_bytes())


def verify(folder: Path | str) -> list[Mismatch]:
    """Hash the patched tensors of a build again; gives those that differ from the record.

    Raises CheckpointRefused or FormatError if the build cannot be read any more.
    """
    record = read_record(folder)
    checkpoint = Checkpoint.open(folder)
    return [
        Mismatch(name, expected, found)
        for name, expected in record.result.items()
        if (found := _found(checkpoint, name, record.tensors[name])) != expected
    ]


def compare(folder: Path | str, checkpoint: Checkpoint) -> list[Mismatch]:
    """Compare every tensor that no patch touched with the base; gives those that differ.

    `expected` is the sha256 in the base, or its type and shape; "missing" where one of the two
    lacks the tensor. Raises CheckpointRefused or FormatError if the build cannot be read any more.
    """
    record = read_record(folder)
    build = Checkpoint.open(folder)
    untouched = sorted({*build.tensors, *checkpoint.tensors} - set(record.tensors))
    return [found for name in untouched if (found := _mismatch(name, checkpoint, build))]


def _mismatch(name: str, base: Checkpoint, build: Checkpoint) -> Mismatch | None:
    forms = [_form(c.tensors[name]) if name in c.tensors else "missing" for c in (base, build)]
    found = forms if forms[0] != forms[1] else [base.digest(name), build.digest(name)]
    return None if found[0] == found[1] else Mismatch(name, *found)


def find_tensors(record: BuildRecord, folder: Path) -> dict[str, TensorInfo]:
    """Where the patched tensors of a build lie; raises CheckpointRefused if one is not there."""
    tensors = Checkpoint.open(folder).tensors
    for name, expected in record.tensors.items():
        if name not in tensors or _form(tensors[name]) != _form(expected):
            raise CheckpointRefused(
                f"{name} in {folder} is missing, or of another shape or type than in {RECORD}",
                hint="the build was changed after it was made; make it again",
            )
    return {name: tensors[name] for name in record.tensors}


def require_base_of(record: BuildRecord, checkpoint: Checkpoint) -> None:
    """Raise BaseMismatch unless the checkpoint is the base that the build was made from."""
    for name, expected in record.tensors.items():
        if name not in checkpoint.tensors or checkpoint.digest(name) != expected.sha256:
            raise BaseMismatch(
                f"{checkpoint.id} is not the base of this build",
                why=f"{name} has other bytes than in {record.base_id}",
                hint="give the unchanged base with --base",
            )


def _found(checkpoint: Checkpoint, name: str, expected: TensorRecord) -> str:
    info = checkpoint.tensors.get(name)
    if info is None:
        return "missing"
    return checkpoint.digest(name) if _form(info) == _form(expected) else _form(info)


def _form(tensor: TensorInfo | TensorRecord) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _applied(value: object) -> Applied:
    fields = Fields(value, f"a patch in {RECORD}")
    applied = Applied(fields.line("name"), fields.integer("version"), fields.digest("digest"))
    fields.done()
    return applied


def _results(record: Mapping[str, object]) -> dict[str, str]:
    fields = Fields(record, f"results in {RECORD}")
    return {name: fields.digest(name) for name in record}
