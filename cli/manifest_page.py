"""What a manifest says, in words: from what and how a version was made, what it does to tensors."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .made_from import all_named, members, rebased
from .output import TENSORS, Output
from .tensor_table import natural, norms, operation, tensor_table

if TYPE_CHECKING:
    from ..patches.format.manifest import Manifest, MethodRecord, OperationRecord
    from ..registry.registry import VersionInfo

SHOWN = 10
"""Entries of a list that people see; the JSON document has more of them."""
TEXT = 400
_ALLOWED = "allowed_conflicts"


def origin(manifest: "Manifest", known: "Mapping[str, VersionInfo]") -> list[tuple[str, object]]:
    """Names and values of all that a manifest says of where a version came from.

    `known` are versions of the registry by digest, to name those that it was made from.
    """
    method = manifest.method
    return [
        ("supersedes", manifest.supersedes and all_named([manifest.supersedes], known)),
        ("base", ", ".join(base.label for base in manifest.bases)),
        ("method", f"{method.name} {method.version}"),
        ("rebased", rebased(method, known)),
        ("members", members(method)),
        ("settings", _settings(method)),
        ("allowed", _allowed(method.hyperparameters)),
        ("author", manifest.author),
        ("created", manifest.created),
        ("licence", manifest.licence),
        ("message", manifest.message),
        ("parents", all_named(manifest.parents, known)),
    ]


def show_operations(output: Output, operations: "Mapping[str, Sequence[OperationRecord]]") -> None:
    """The first operations, each with its tensor and norms, and how many more there are."""
    output.line()
    rows = [
        [name, operation(one.kind, one.size), *norms(one.kind, one.norm, one.relative_norm)]
        for name in sorted(operations, key=natural)
        for one in operations[name]
    ]
    columns = ["tensor", "operation", "norm", "of the weight's"]
    tensor_table(output, columns, rows[:TENSORS])
    if len(rows) > TENSORS:
        output.line(f"… and {len(rows) - TENSORS} more; --json has them")


def _settings(method: "MethodRecord") -> str | None:
    """What a method was told, in one line; long lists are in the JSON document."""
    told = {_ALLOWED, *(("members", "weights") if members(method) else ())}
    plain = {
        name: value
        for name, value in method.hyperparameters.items()
        if isinstance(value, str | int | float) or (name not in told and _is_short(value))
    }
    return ", ".join(f"{name} {_setting(value)}" for name, value in plain.items())[:TEXT] or None


def _is_short(value: object) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= SHOWN
        and all(isinstance(each, int | float) for each in value)
    )


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _allowed(hyperparameters: Mapping[str, Any]) -> str | None:
    """The conflicts between members that somebody allowed when composing them."""
    sentences = hyperparameters.get(_ALLOWED)
    if not isinstance(sentences, list):
        return None
    shown = [str(sentence) for sentence in sentences[:SHOWN]]
    more = [f"and {len(sentences) - SHOWN} more"] if len(sentences) > SHOWN else []
    return "conflicts: " + ("; ".join([*shown, *more]) or "none was found")
