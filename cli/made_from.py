"""What a version was made from, in words: rebased from which, composed of which."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .version_table import DIGEST, marked

if TYPE_CHECKING:
    from ..patches.format.manifest import Manifest, MethodRecord
    from ..registry.registry import VersionInfo

    Known = Mapping[str, VersionInfo]

MEMBERS = 10
"""Members of a composition that people see; the JSON document has more of them."""

_HOW = {"carry": "carried over", "again": "made again"}


def how_rebased(method: "MethodRecord") -> str | None:
    """`carried over` or `made again`; None for a version that was not rebased."""
    return _HOW.get(str(_rebase(method).get("how")))


def relatives(manifest: "Manifest") -> list[str]:
    """Digests of the versions that one was made from or replaces."""
    origin = _rebase(manifest.method).get("from")
    found = (*manifest.parents, manifest.supersedes, origin if isinstance(origin, str) else None)
    return list(dict.fromkeys(digest for digest in found if digest))


def rebased(method: "MethodRecord", known: "Known") -> str | None:
    """From which version, which base, and how; None for a version that was not rebased."""
    record, how = _rebase(method), how_rebased(method)
    if how is None:
        return None
    origin = str(record.get("from"))
    base = f" ({', '.join(known[origin].bases)})" if origin in known else ""
    left = record.get("left")
    lacking = (
        f", without its {', '.join(map(str, left))}" if left and isinstance(left, Mapping) else ""
    )
    return f"{named(origin, known)}{base}, {how}{lacking}"


def members(method: "MethodRecord") -> str | None:
    """The members of a composition, each with its weight where weights were given."""
    told = method.hyperparameters
    labels = _list(told.get("members"), str)
    weights = _list(told.get("weights"), int | float)
    if method.name != "compose" or not labels:
        return None
    if len(weights) == len(labels):
        pairs = zip(weights, labels, strict=True)
        labels = [f"{weight:g} × {label}" for weight, label in pairs]  # noqa: RUF001 - it is meant
    more = [f"… and {len(labels) - MEMBERS} more"] if len(labels) > MEMBERS else []
    return ", ".join([*labels[:MEMBERS], *more])


def all_named(digests: Iterable[str], known: "Known") -> str:
    """Several versions, as `named` calls each."""
    return ", ".join(named(digest, known) for digest in digests)


def named(digest: str, known: "Known") -> str:
    """The label of a version, marked if it was withdrawn, or the beginning of its digest."""
    return marked(known[digest]) if digest in known else f"{DIGEST}{digest[:12]}"


def _rebase(method: "MethodRecord") -> Mapping[str, Any]:
    from ..patches.rebasing.carry import REBASE

    record = method.sampled.get(REBASE)
    return record if isinstance(record, Mapping) else {}


def _list(value: object, kind: Any) -> list[Any]:  # noqa: ANN401 - a class or a union of them
    """The value, if it is a list of this kind alone; a manifest may hold anything."""
    found = value if isinstance(value, list) else []
    return found if all(isinstance(each, kind) for each in found) else []
