"""blame: which version changed a tensor of a build."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...patches.format.names import quoted
from ..app import App
from ..config import shown
from ..harm import warn
from ..options import declare
from ..tensor_table import Row, fits, norms, operation, tensor_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...patches.builds.blame import Blame, BlameReport
    from ...patches.builds.record import Applied, BuildRecord
    from ...registry.registry import VersionInfo

ZEROS = "zeros: neurons without effect, since another layer got more and all must be of one size"

_COLUMNS = ("operation", "norm", "relative")


@declare(
    "blame",
    examples="weightpatch blame ./smollm2-fixed\n"
    "weightpatch blame ./smollm2-fixed model.layers.3.mlp.down_proj.weight",
)
@click.argument("build", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("tensor", required=False)
def command(app: App, build: Path, tensor: str | None) -> None:
    """Show which versions changed the tensors of BUILD, or one of them, and by how much.

    The build itself tells it; relative is the norm of a change over that of the base's weight. Who
    made a version, and when, is shown if the registry holds it.
    """
    from ...patches.builds.blame import blame

    found = blame(build, tensor)
    known = _known(app, found.versions)
    inside = [version.digest for layer in found.record.layers for version in layer.patches]
    harm = warn(app, shown(build), inside)
    app.output.data("blame", {**_document(build, found, known), "holds_malicious": harm})
    _show_build(app, build, found.record)
    if tensor is None:
        _show_all(app, found.tensors)
    else:
        _show_one(app, tensor, found)
    _show_versions(app, found.versions, known)


def _known(app: App, versions: "Iterable[Applied]") -> "dict[str, VersionInfo]":
    """What the registry knows of versions, by digest; a build is explained without one, too."""
    from ...registry.errors import NotFound, RegistryError, RegistryMissing

    found = {}
    try:
        with app.registry() as registry:
            for version in versions:
                with suppress(NotFound):
                    found[version.digest] = registry.resolve(f"sha256:{version.digest}")
    except RegistryMissing:
        return {}
    except RegistryError as error:
        app.output.note(f"note: who made the versions is not known: {error.message}")
    return found


def _document(
    build: Path, found: "BlameReport", known: "Mapping[str, VersionInfo]"
) -> dict[str, Any]:
    return {
        "build": shown(build),
        "bases": [
            {"id": layer.base_id, "revision": layer.base_revision} for layer in found.record.layers
        ],
        "versions": [_version(applied, known.get(applied.digest)) for applied in found.versions],
        "asked": found.asked,
        "tensors": [_tensor(one) for one in found.tensors],
    }


def _version(applied: "Applied", info: "VersionInfo | None") -> dict[str, Any]:
    return {
        "label": applied.label,
        "digest": applied.digest,
        "author": info and info.author,
        "created": info and info.created,
        "message": info and info.message,
    }


def _tensor(one: "Blame") -> dict[str, Any]:
    return {
        "tensor": one.tensor,
        "base": asdict(one.base),
        "result": asdict(one.result),
        "operations": [
            {"version": change.version.label, **asdict(change.operation)} for change in one.changes
        ],
        "padding": one.padding,
    }


def _show_build(app: App, build: Path, record: "BuildRecord") -> None:
    made = shown(build)
    for layer in reversed(record.layers):
        applied = ", ".join(version.label for version in layer.patches)
        app.output.line(f"{made} was made of {layer.base_id} with {applied}")
        made = f"{layer.base_id}, itself a build,"
    app.output.line(f"`weightpatch verify {shown(build)}` checks that it still is what was made")
    app.output.line()


def _show_all(app: App, found: "Sequence[Blame]") -> None:
    rows = [[one.tensor, *row] for one in found for row in _rows(one)]
    tensor_table(app.output, ["tensor", "version", *_COLUMNS], rows)
    _explain_zeros(app, found)


def _show_one(app: App, tensor: str, found: "BlameReport") -> None:
    stored = quoted(found.asked or tensor)
    if found.asked != tensor:
        app.output.line(f"{quoted(tensor)} is stored as {stored}")
    if not found.tensors:
        app.output.line(f"no patch touched {stored}")
    for one in found.tensors:
        forms = [f"{each.dtype} {list(each.shape)}" for each in (one.base, one.result)]
        app.output.fields(
            [
                ("tensor", one.tensor),
                ("type and shape", " → ".join(dict.fromkeys(forms))),
                ("sha256", f"{one.base.sha256[:12]}… → {one.result.sha256[:12]}…"),
            ]
        )
        app.output.line()
        app.output.table(["version", *_COLUMNS], _rows(one))
    _explain_zeros(app, found.tensors)


def _rows(one: "Blame") -> list[Row]:
    rows: list[Row] = [
        [
            change.version.label,
            operation(change.operation.kind, change.operation.size),
            *norms(change.operation.kind, change.operation.norm, change.operation.relative_norm),
        ]
        for change in one.changes
    ]
    if one.padding:
        rows.append([None, operation("zeros", one.padding), None, None])
    return rows


def _explain_zeros(app: App, found: "Sequence[Blame]") -> None:
    if any(one.padding for one in found):
        app.output.line()
        app.output.line(ZEROS)


def _show_versions(
    app: App, versions: "Sequence[Applied]", known: "Mapping[str, VersionInfo]"
) -> None:
    if versions:
        app.output.line()
    rows = [[applied.label, f"sha256:{applied.digest[:12]}"] for applied in versions]
    if not known:
        app.output.table(["version", "digest"], rows)
        return
    columns = ["version", "digest", "author", "created", "message"]
    told = [_told(known.get(applied.digest)) for applied in versions]
    whole: list[Row] = [[*row, *more] for row, more in zip(rows, told, strict=True)]
    if fits(columns, whole):
        app.output.table(columns, whole)
        return
    for row in whole:
        app.output.fields(list(zip(columns, row, strict=True)))
        app.output.line()


def _told(info: "VersionInfo | None") -> Row:
    return [info.author, info.created[:10], info.message] if info else [None, None, None]
