"""What a delta takes for each tensor, beside what the tensor itself would take."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ..arithmetic.dtypes import WIDTH
from ..format.manifest import OperationRecord
from ..format.names import AUXILIARY, split_key
from ..format.patch import DELTA, Patch
from ..format.safetensors_file import open_tensors
from ..operations.widen import Widen


@dataclass(frozen=True)
class Share:
    """A tensor's operations, the bytes of their arrays, and those of the whole changed tensor."""

    tensor: str
    operations: Sequence[OperationRecord]
    stored: int
    dense: int

    @property
    def ratio(self) -> float:
        """The former over the latter."""
        return self.stored / self.dense


def shares(patch: Patch) -> list[Share]:
    """One for each tensor that a patch changes, those that take most first; raises FormatError."""
    stored = dict.fromkeys(patch.manifest.operations, 0)
    added = dict(stored)
    arrays, _ = open_tensors(patch.files[DELTA])
    for key, array in arrays.items():
        tensor, kind, _ = split_key(key)
        if kind != AUXILIARY:
            stored[tensor] += array.nbytes
        if kind == Widen.kind:
            added[tensor] += array.nbytes
    found = []
    for tensor, operations in patch.manifest.operations.items():
        record = patch.manifest.bases[0].tensors[tensor]
        dense = prod(record.shape) * WIDTH[record.dtype] + added[tensor]
        found.append(Share(tensor, operations, stored[tensor], dense))
    return sorted(found, key=lambda share: (-share.stored, _in_order(share.tensor)))


def _in_order(name: str) -> list[tuple[int, str]]:
    """A key by which layer 2 comes before layer 10."""
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]
