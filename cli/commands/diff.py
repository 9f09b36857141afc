"""diff: what is different between two versions."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..app import App
from ..options import declare
from ..tensor_table import Row, norms, operation, tensor_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...patches.diff import Difference, RequestDifference, TensorDifference
    from ...patches.format.patch import Patch
    from ...patches.requests import EditRequest

SHOWN = 10
"""Requests of each sort; all of them are in the JSON document."""

TEXT = 200

_BASES = {
    True: "the same base",
    False: "different bases",
    None: "no tensor in common to tell whether the base is the same",
}


@declare(
    "diff",
    examples="weightpatch diff acme/capitals@1 acme/capitals@2\n"
    "weightpatch diff acme/capitals ./folder --json",
)
@click.argument("first", metavar="REF")
@click.argument("second", metavar="REF")
def command(app: App, first: str, second: str) -> None:
    """Compare two versions: their requests, and what each does to each tensor.

    A line with - is of the first, with + of the second; relative is the norm of a change over that
    of the base's weight, and both are - for new values, which add nothing. The cosine of the two
    deltas is 1 for the same direction, 0 for changes that have nothing in common, - where one of
    them is no sum, as with replaced values; in its place stands "same" where both, in whatever way,
    make the very same weight of the same base's.
    """
    from ...patches.diff import diff

    one, other = app.patches([first, second], to_read=True)
    found = diff(one, other)
    app.output.data("diff", _document(one, other, found))
    app.output.line(_summary(found))
    app.output.line()
    _show_sides(app, one, other)
    _show_requests(app, found.requests)
    _show_tensors(app, found)


def _document(first: "Patch", second: "Patch", found: "Difference") -> dict[str, Any]:
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


def _summary(found: "Difference") -> str:
    deltas = "the same operations in another file" if found.same_operations else "different deltas"
    if found.same_delta:
        deltas = "the same delta"
    requests = "the same requests" if found.requests.none else "different requests"
    return f"{deltas}, {requests}, {_BASES[found.same_base]}"


def _show_sides(app: App, first: "Patch", second: "Patch") -> None:
    app.output.table(
        ["", "version", "digest", "method", "author", "created", "base"],
        [
            [
                mark,
                patch.label,
                f"sha256:{patch.digest[:12]}",
                patch.manifest.method.name,
                patch.manifest.author,
                patch.manifest.created[:10],
                ", ".join(base.label for base in patch.manifest.bases),
            ]
            for mark, patch in (("-", first), ("+", second))
        ],
    )


def _show_requests(app: App, found: "RequestDifference") -> None:
    rows = [
        *_some("-", found.removed),
        *_some("+", found.added),
        *(row for pair in found.changed[:SHOWN] for row in _pair(*pair)),
    ]
    if len(found.changed) > SHOWN:
        rows.append(["", f"… and {len(found.changed) - SHOWN} more that were changed"])
    if rows:
        app.output.line()
    app.output.table(["", "request"], rows)


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


def _show_tensors(app: App, found: "Difference") -> None:
    app.output.line()
    tensor_table(
        app.output,
        ["", "tensor", "operation", "norm", "relative", "cosine"],
        [row for one in found.tensors for row in _rows(one)],
    )
    if found.unread:
        app.output.note(f"note: there are no cosines: {found.unread}")


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
