"""What is different between two versions, as people and programs read it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .output import Output
from .tensor_table import Row, norms, operation, tensor_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..patches.diff import Difference, RequestDifference, TensorDifference
    from ..patches.format.patch import Patch
    from ..patches.requests import EditRequest

SHOWN = 10
"""Requests of each sort; all of them are in the JSON document."""

TEXT = 200

_BASES = {
    True: "the same base",
    False: "different bases",
    None: "no tensor in common to tell whether the base is the same",
}


def difference_json(first: "Patch", second: "Patch", found: "Difference") -> dict[str, Any]:
    """The difference, and the two versions, as plain JSON values."""
    requests = found.requests
    return {
        "first": _side(first),
        "second": _side(second),
        "same_delta": found.same_delta,
        "same_operations": found.same_operations,
        "same_base": found.same_base,
        "same_requests": requests.none,
        "requests": {
            "removed": [request.to_json() for request in requests.removed],
            "added": [request.to_json() for request in requests.added],
            "changed": [
                {"from": old.to_json(), "to": new.to_json()} for old, new in requests.changed
            ],
        },
        "tensors": [{**asdict(one), "relative_norm": one.relative_norm} for one in found.tensors],
        "unread": found.unread,
    }


def _side(patch: "Patch") -> dict[str, Any]:
    manifest = patch.manifest
    return {
        "label": patch.label,
        "digest": patch.digest,
        "bases": [{"id": base.id, "revision": base.revision} for base in manifest.bases],
        "method": manifest.method.name,
        "author": manifest.author,
        "created": manifest.created,
    }


def summary(found: "Difference") -> str:
    """Deltas, requests and bases in a line."""
    deltas = "the same operations in another file" if found.same_operations else "different deltas"
    if found.same_delta:
        deltas = "the same delta"
    requests = "the same requests" if found.requests.none else "different requests"
    return f"{deltas}, {requests}, {_BASES[found.same_base]}"


def show_requests(output: Output, found: "RequestDifference") -> None:
    """Requests that only one has, after an empty line; nothing, if both have the same."""
    rows = [
        *_some("-", found.removed),
        *_some("+", found.added),
        *(row for pair in found.changed[:SHOWN] for row in _pair(*pair)),
    ]
    if len(found.changed) > SHOWN:
        rows.append(["", f"… and {len(found.changed) - SHOWN} more that were changed"])
    if rows:
        output.line()
    output.table(["", "request"], rows)


def _some(mark: str, requests: "Sequence[EditRequest]") -> list[list[str]]:
    rows = [[mark, _text(request)] for request in requests[:SHOWN]]
    left = len(requests) - SHOWN
    return [*rows, [mark, f"… and {left} more"]] if left > 0 else rows


def _pair(old: "EditRequest", new: "EditRequest") -> list[list[str]]:
    if _text(old) != _text(new):
        return [["-", _text(old)], ["+", _text(new)]]
    fields = ("subject", "target", "old_target", "paraphrases", "neighbourhood")
    names = [name for name in fields if getattr(old, name) != getattr(new, name)]
    return [["±", f"{_text(old)} (other {', '.join(names)})"]]


def _text(request: "EditRequest") -> str:
    return f"{_cut(request.text)} → {_cut(request.target)}"


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[:TEXT]}…"


def show_tensors(output: Output, found: "Difference") -> None:
    """What each version does to each tensor, after an empty line."""
    output.line()
    tensor_table(
        output,
        ["", "tensor", "operation", "norm", "relative", "cosine"],
        [row for one in found.tensors for row in _rows(one)],
    )
    if found.unread:
        output.note(f"note: there are no cosines: {found.unread}")


def _rows(one: "TensorDifference") -> list[Row]:
    """A line for each operation; the last one says how alike the two deltas are."""
    lines = [("-", record) for record in one.first] + [("+", record) for record in one.second]
    alike = [""] * (len(lines) - 1) + [_alike(one) if one.first and one.second else ""]
    return [
        [
            mark,
            one.tensor,
            operation(record.kind, record.size),
            *norms(record.kind, record.norm, record.relative_norm),
            cell,
        ]
        for (mark, record), cell in zip(lines, alike, strict=True)
    ]


def _alike(one: "TensorDifference") -> str | None:
    if one.same_result:
        return "same"
    return None if one.cosine is None else f"{one.cosine:+.3f}"
