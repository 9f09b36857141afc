"""Which versions changed which tensors of a build, told by the build alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..errors import CheckpointRefused
from ..format.manifest import TensorRecord
from ..format.names import quoted
from ..operations.widen import Widen
from .record import Applied, AppliedOperation, BuildRecord, read_record
from .underlying import find_tensors

_NUMBER = re.compile(r"(\d+)", re.ASCII)


@dataclass(frozen=True)
class Change:
    """One operation on a tensor, and the version that it came with."""

    version: Applied
    operation: AppliedOperation


@dataclass(frozen=True)
class Blame:
    """A tensor that differs from the base: what it was, what it became, and through whom."""

    tensor: str
    base: TensorRecord
    result: TensorRecord
    changes: Sequence[Change]

    @property
    def padding(self) -> int:
        """Neurons of zeros that it got because another layer was widened by more than it was."""
        growth = sum(self.result.shape) - sum(self.base.shape)
        own = sum(each.operation.size for each in self.changes if each.operation.kind == Widen.kind)
        return max(0, growth - own)


@dataclass(frozen=True)
class BlameReport:
    """The record of a build, the stored tensor that was asked for, and what changed which tensor.

    `tensors` is empty if no patch touched the one that was asked for.
    """

    record: BuildRecord
    asked: str | None
    tensors: Sequence[Blame]

    @property
    def versions(self) -> list[Applied]:
        """The versions that changed these tensors."""
        used = {change.version for one in self.tensors for change in one.changes}
        return [
            applied for layer in self.record.layers for applied in layer.patches if applied in used
        ]


def blame(folder: Path | str, tensor: str | None = None) -> BlameReport:
    """What changed each tensor of a build, layers in order; or what changed `tensor` alone.

    Nothing is hashed: `verify` tells whether the build is still what its record says. Raises
    CheckpointRefused if there is no such tensor, or if the folder is no build or not that of its
    record; ManifestError, FormatError, LimitExceeded.
    """
    record = read_record(folder)
    build = Checkpoint.open(folder)
    find_tensors(record, build)
    if tensor is None:
        found = [_blame(record, name) for name in sorted(record.results, key=_by_layer)]
        return BlameReport(record, None, found)
    stored = stored_name(build, tensor)
    found = [_blame(record, stored)] if stored in record.results else []
    return BlameReport(record, stored, found)


def stored_name(build: Checkpoint, name: str) -> str:
    """The stored tensor that `name` means, as `lm_head.weight` may mean the embedding.

    Raises CheckpointRefused that names those that begin with it, or that read alike.
    """
    if name in build.tensors:
        return name
    stored = build.tied.get(name)
    if stored is None:
        names = sorted({*build.tensors, *build.tied}, key=_by_layer)
        below = [found for found in names if found.startswith(f"{name.removesuffix('.')}.")]
        near = below[:3] or get_close_matches(name, names, n=3)
        asking = "name one tensor, as in" if below else "did you mean"
        raise CheckpointRefused(
            f"{build.id} has no tensor {quoted(name)}",
            why=f"the names of {len(below)} tensors begin with it" if below else None,
            hint=f"{asking} {' or '.join(map(quoted, near))}{'' if below else '?'}"
            if near
            else None,
        )
    return stored


def _blame(record: BuildRecord, tensor: str) -> Blame:
    """What changed a tensor, in lower builds first."""
    layers = [layer for layer in record.layers if tensor in layer.tensors]
    changes = [
        Change(applied, each)
        for layer in layers
        for each in layer.operations[tensor]
        for applied in layer.patches
        if applied.digest == each.patch
    ]
    return Blame(tensor, layers[0].tensors[tensor], layers[-1].result[tensor], changes)


def _by_layer(name: str) -> list[tuple[int, str]]:
    """A key that puts layer 10 after layer 9: text and numbers, which `split` gives in turns."""
    parts = _NUMBER.split(name)
    numbers = [part.lstrip("0") for part in parts[1::2]]
    keys = [(0, part) for part in parts]
    keys[1::2] = [(len(number), number) for number in numbers]
    return keys
