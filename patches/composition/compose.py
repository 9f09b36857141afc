"""Several versions as one: merged in one of several ways, checked, and written as a draft."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..checkpoints.checkpoint import Checkpoint
from ..draft import Origin, write_draft
from ..errors import ConflictFound, PluginMissing, RequestRefused
from ..format.manifest import MethodRecord
from ..format.patch import Draft, Patch
from ..methods.hyperparameters import hyperparameters_from
from ..operations.base import Addend, Operation
from ..progress import Progress, silent
from ..terms import Term
from .base import Merge, Work
from .compact import compacted
from .members import requests_of, require_members, require_room

VERSION = "1"
MAX_SENTENCES = 50
"""Allowed conflicts that a manifest tells one by one."""
MAX_SENTENCE = 300

MERGES = {
    "sum": ".plain:Sum",
    "ties": ".ties:Ties",
    "dare": ".dare:Dare",
    "resolve": ".resolve:Resolve",
}
"""The ways of composing, each loaded only when asked for."""


@dataclass(frozen=True)
class Blend:
    """How versions are composed: the exact sum by default.

    `merge` is one of MERGES, with `settings` as typed by a user. `weights` are in the order in
    which the versions are named; none means 1 for each. `compact` merges the low-rank parts on one
    tensor where that changes no bit of the result. `allowed_conflicts` are what a check found and
    the user allowed, None if nobody asked for that.
    """

    merge: str = "sum"
    weights: Sequence[float] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    compact: bool = False
    allowed_conflicts: Sequence[str] | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the result is bit for bit that of applying the members together."""
        return self.merge == "sum" and all(weight == 1 for weight in self.weights)


def compose(
    checkpoint: Checkpoint,
    patches: Sequence[Patch],
    folder: Path,
    origin: Origin,
    tools: Mapping[str, str],
    blend: Blend = Blend(),
    *,
    progress: Progress = silent,
) -> Draft:
    """Write the composition of `patches` into the empty `folder`.

    By default, applying it gives bit for bit what applying its members together gives, also when
    it is composed again. What the merge found out stands in the manifest as `sampled`. Raises
    BaseMismatch, ConflictFound, RequestRefused, PluginMissing, Unsupported, NonFinite,
    LimitExceeded, and as `write_draft`.
    """
    merge = load_merge(blend.merge)
    settings = _settings(merge, blend)
    weights = _weights(patches, blend, merge)
    members = sorted(patches, key=lambda patch: patch.digest)
    _require_several(members, blend)
    require_members(members, checkpoint)
    origin = replace(origin, parents=tuple(patch.digest for patch in members))
    told = {
        "merge": blend.merge,
        "members": [patch.label for patch in members],
        **({"weights": [weights[patch.digest] for patch in members]} if blend.weights else {}),
        **asdict(settings),
        **({"compact": True} if blend.compact else {}),
        **_allowed(blend.allowed_conflicts),
    }
    method = MethodRecord("compose", VERSION, told, None, {}, (), "cpu", tools)
    require_room(members, method, origin, side_by_side=blend.merge == "sum")
    with TemporaryDirectory(dir=folder.parent) as scratch:
        ordered = [weights[patch.digest] for patch in members]
        merged = merge.merge(Work(members, ordered, Path(scratch), progress), settings)
        found = dict(merged.found)
        terms = merged.terms
        if blend.compact:
            terms, found["compacted"] = compacted(checkpoint, terms, progress)
        _require_change(terms)
        method = replace(method, seed=merged.seed, sampled=found)
        draft = write_draft(
            folder, checkpoint, terms, merged.auxiliary, requests_of(members), method, origin
        )
    for patch in members:
        patch.require_unchanged()
    return draft


def load_merge(name: str) -> Merge:
    """One of MERGES; raises PluginMissing for another name."""
    if name not in MERGES:
        raise PluginMissing(
            f"there is no merge named {name!r}",
            why=f"there are {', '.join(MERGES)}",
            hint="check the spelling",
        )
    module, _, attribute = MERGES[name].partition(":")
    merge: Merge = getattr(import_module(module, __package__), attribute)()
    return merge


def _settings(merge: Merge, blend: Blend) -> Any:  # noqa: ANN401 - each merge has its own
    """What a merge is told; raises RequestRefused."""
    defaults = merge.Settings()
    if blend.settings and not asdict(defaults):
        raise RequestRefused(
            f"{merge.name} takes no settings, so no {', '.join(sorted(blend.settings))}",
            hint="leave them out, or name a merge that takes them: ties, dare, resolve",
        )
    return hyperparameters_from(defaults, blend.settings)


def _weights(patches: Sequence[Patch], blend: Blend, merge: Merge) -> dict[str, float]:
    """The weight of each version, by digest; raises RequestRefused."""
    given = blend.weights or [1.0] * len(patches)
    if blend.weights and not merge.weighted:
        raise RequestRefused(f"{merge.name} takes no weights", hint="leave the weights out")
    if len(given) != len(patches):
        raise RequestRefused(
            f"{len(given)} weights for {len(patches)} versions",
            hint="give one weight for each version, in the order in which they are named",
        )
    for weight in given:
        if not isfinite(weight) or weight == 0:
            raise RequestRefused(
                f"a weight cannot be {weight:g}", hint="leave a version out that should not count"
            )
    return {patch.digest: float(weight) for patch, weight in zip(patches, given, strict=True)}


def _require_several(members: Sequence[Patch], blend: Blend) -> None:
    if not members or (len(members) == 1 and blend.is_exact and not blend.compact):
        raise ConflictFound(
            "a composition needs two versions at least", hint="name two or more versions"
        )


def _require_change(terms: Mapping[str, Sequence[Term]]) -> None:
    if not any(_changes(term.operation) for found in terms.values() for term in found):
        raise RequestRefused(
            "nothing is left of the members",
            why="every entry of the merged delta is zero",
            hint="set larger weights, a larger density, a smaller drop, or another seed",
        )


def _changes(operation: Operation) -> bool:
    return not isinstance(operation, Addend) or operation.norm() > 0


def _allowed(sentences: Sequence[str] | None) -> dict[str, Any]:
    """What was allowed, as the manifest tells it: the first ones, and how many more there are."""
    if sentences is None:
        return {}
    told = [each if len(each) <= MAX_SENTENCE else f"{each[:MAX_SENTENCE]}…" for each in sentences]
    more = len(told) - MAX_SENTENCES
    rest = [f"{more} more"] if more > 0 else []
    return {"allowed_conflicts": [*told[:MAX_SENTENCES], *rest]}
