"""What is different between two versions: in what they were asked to do, and in the weights."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from .errors import PluginMissing
from .format import jsonfile
from .format.manifest import BaseRecord, OperationRecord
from .format.patch import DELTA, Operations, Patch
from .inner_products import cosine
from .operations.base import Operation
from .operations.values import BLOCK_ELEMENTS
from .requests import EditRequest
from .stored_array import Part, block_rows


@dataclass(frozen=True)
class TensorDifference:
    """What each of two versions does to one tensor; nothing, if it leaves it alone.

    `cosine` is that of the angle between the two deltas, None unless both are sums of one shape.
    `same_result` says that both promise the same bytes on the same base.
    """

    tensor: str
    first: Sequence[OperationRecord]
    second: Sequence[OperationRecord]
    cosine: float | None
    same_result: bool

    @property
    def relative_norm(self) -> float:
        """The largest of all its operations."""
        return max(record.relative_norm for record in (*self.first, *self.second))


@dataclass(frozen=True)
class RequestDifference:
    """Requests that only one of two versions has; `changed` are pairs with one text.

    Neither order nor ids of the requests count.
    """

    removed: Sequence[EditRequest]
    added: Sequence[EditRequest]
    changed: Sequence[tuple[EditRequest, EditRequest]]

    @property
    def none(self) -> bool:
        """Whether both have the same requests."""
        return not (self.removed or self.added or self.changed)


@dataclass(frozen=True)
class Difference:
    """Two versions compared; tensors that are changed most, relative to their norm, come first.

    `same_operations` says that both do the same, bit for bit, as a version does that was carried
    over to another base; what is kept beside the operations may be another, and the file with it.
    `same_base` is None if they have no tensor in common by which it could be told. `unread` says
    why there are no cosines, if the operations of one could not be read.
    """

    same_delta: bool
    same_operations: bool
    same_base: bool | None
    requests: RequestDifference
    tensors: Sequence[TensorDifference]
    unread: str | None


def diff(first: Patch, second: Patch) -> Difference:
    """Compare two versions, which may be of different patches.

    Only cosines need the deltas themselves; they are left out if an operation is not installed.
    Raises RequestRefused, LimitExceeded, DigestMismatch, and what reading the operations raises.
    """
    read: tuple[Operations, Operations] = ({}, {})
    unread = None
    try:
        read = first.operations, second.operations
    except PluginMissing as error:
        unread = error.message
    names = {*first.manifest.operations, *second.manifest.operations}
    same_delta = first.manifest.files[DELTA] == second.manifest.files[DELTA]
    same_operations = same_delta or (not unread and _same_operations(*read))
    tensors = [_tensor(name, first, second, read) for name in names]
    for patch in (first, second):
        if not unread:
            patch.require_unchanged()
    return Difference(
        same_delta=same_delta,
        same_operations=same_operations,
        same_base=_same_base(first, second),
        requests=_requests(first.requests, second.requests),
        tensors=sorted(tensors, key=lambda found: (-found.relative_norm, found.tensor)),
        unread=unread,
    )


def _tensor(
    name: str, first: Patch, second: Patch, read: tuple[Operations, Operations]
) -> TensorDifference:
    return TensorDifference(
        name,
        first.manifest.operations.get(name, ()),
        second.manifest.operations.get(name, ()),
        _cosine(name, *read),
        _same_result(name, first, second),
    )


def _same_operations(first: Operations, second: Operations) -> bool:
    return first.keys() == second.keys() and all(
        len(ones) == len(second[name]) and all(map(_same, ones, second[name]))
        for name, ones in first.items()
    )


def _same(one: Operation, other: Operation) -> bool:
    ours, theirs = one.parts, other.parts
    return (one.kind, one.shape, ours.keys()) == (other.kind, other.shape, theirs.keys()) and all(
        _same_bits(part, theirs[name]) for name, part in ours.items()
    )


def _same_bits(one: Part, other: Part) -> bool:
    return (one.dtype, one.shape) == (other.dtype, other.shape) and all(
        one[rows].tobytes() == other[rows].tobytes()
        for rows in block_rows(one.shape, BLOCK_ELEMENTS)
    )


def _cosine(name: str, first: Operations, second: Operations) -> float | None:
    ones, others = first.get(name), second.get(name)
    if not ones or not others or ones[0].shape != others[0].shape:
        return None
    found = cosine(ones, others)
    return found if found is not None and isfinite(found) else None


def _same_result(name: str, first: Patch, second: Patch) -> bool:
    ones, others = _promises(name, first), _promises(name, second)
    return bool(ones & others)


def _promises(name: str, patch: Patch) -> set[tuple[str, str]]:
    """For each base, sha256 of the tensor before and after."""
    return {
        (base.tensors[name].sha256, base.result[name])
        for base in patch.manifest.bases
        if name in base.tensors
    }


def _same_base(first: Patch, second: Patch) -> bool | None:
    common = set(first.manifest.operations) & set(second.manifest.operations)
    if not common:
        return None
    return any(
        _agree(one, other, common)
        for one in first.manifest.bases
        for other in second.manifest.bases
    )


def _agree(one: BaseRecord, other: BaseRecord, tensors: Iterable[str]) -> bool:
    return all(one.tensors[name] == other.tensors[name] for name in tensors)


def _requests(first: Sequence[EditRequest], second: Sequence[EditRequest]) -> RequestDifference:
    removed, gained = _only(first, second), _only(second, first)
    by_text: dict[str, list[EditRequest]] = {}
    for request in gained:
        by_text.setdefault(request.text, []).append(request)
    changed = [
        (request, by_text[request.text].pop(0)) for request in removed if by_text.get(request.text)
    ]
    old, new = ({id(pair[side]) for pair in changed} for side in (0, 1))
    return RequestDifference(
        [request for request in removed if id(request) not in old],
        [request for request in gained if id(request) not in new],
        changed,
    )


def _only(ours: Sequence[EditRequest], others: Sequence[EditRequest]) -> list[EditRequest]:
    """Those of `ours` that `others` lack, or have fewer times."""
    left = Counter(map(_content, others))
    found = []
    for request in ours:
        key = _content(request)
        if left[key]:
            left[key] -= 1
        else:
            found.append(request)
    return found


def _content(request: EditRequest) -> bytes:
    record = request.to_json()
    del record["id"]
    return jsonfile.canonical(record, what="a request")
