"""What clashes between patches: in the facts they state, and in the weights they change."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from ..checkpoints.checkpoint import Checkpoint
from ..format.patch import Patch
from ..progress import Progress, silent
from .bases import apart, misfits
from .facts import MAX_FINDINGS, facts
from .findings import BASE, CONFLICT, NOTE, SEVERITIES, WARNING, WEIGHTS, Finding
from .held import held_twice
from .interference import interference
from .matrix import common_tensors
from .report import MANY, MAX_LISTED, Collector, Report
from .statements import Statements, related
from .text import normalised
from .thresholds import DEFAULTS, Thresholds
from .weights import judge_entries, judge_forms, judge_measures, meeting

__all__ = [
    "BASE",
    "CONFLICT",
    "MANY",
    "MAX_FINDINGS",
    "MAX_LISTED",
    "NOTE",
    "WARNING",
    "Finding",
    "Report",
    "Thresholds",
    "check",
    "examine",
    "interference",
    "normalised",
]


def check(
    patches: Sequence[Patch],
    *,
    base: Checkpoint | None = None,
    thresholds: Thresholds = DEFAULTS,
    conflicts_only: bool = False,
) -> list[Finding]:
    """What is found between each pair, gravest first; as `examine`, but what it only counts."""
    return examine(
        patches, base=base, thresholds=thresholds, conflicts_only=conflicts_only
    ).findings


def examine(
    patches: Sequence[Patch],
    *,
    base: Checkpoint | None = None,
    thresholds: Thresholds = DEFAULTS,
    conflicts_only: bool = False,
    progress: Progress = silent,
) -> Report:
    """What is found between each pair, in the facts and in the weights.

    With a `base` the patches are judged as used on it: one that does not fit is a conflict, and
    what its weights have to do with those of others is not asked. From MANY patches on notes are
    counted, not listed. With `conflicts_only` nothing is looked for that could only be a warning
    or a note. Raises as `Patch.operations`, `Patch.auxiliary` and `Patch.requests`.
    """
    many = len(patches) >= MANY
    listed = {CONFLICT} if conflicts_only else set(SEVERITIES) - ({NOTE} if many else set())
    collector = Collector(listed)
    _judge_facts(patches, collector, conflicts_only=conflicts_only)
    fitting, held = _judge_wholes(patches, base, collector)
    tensors = common_tensors(fitting)
    for done, tensor in enumerate(tensors):
        progress("comparing tensors", done, len(tensors))
        numbers = [
            number for number, patch in enumerate(fitting) if tensor in patch.manifest.operations
        ]
        found = meeting(fitting, numbers, tensor, held)
        if base is None:
            judge_forms(found, collector)
        judge_entries(found, collector)
        if not conflicts_only or thresholds.may_refuse:
            judge_measures(found, thresholds, collector, many=many)
    progress("comparing tensors", len(tensors), len(tensors))
    return collector.report()


def _judge_facts(patches: Sequence[Patch], collector: Collector, *, conflicts_only: bool) -> None:
    statements = [Statements(patch.label, patch.requests) for patch in patches]
    pairs = (
        related(statements, conflicts_only=conflicts_only)
        if len(patches) >= MANY
        else combinations(range(len(patches)), 2)
    )
    for one, other in pairs:
        found = facts(statements[one], statements[other], conflicts_only=conflicts_only)
        collector.add(found)


def _judge_wholes(
    patches: Sequence[Patch], base: Checkpoint | None, collector: Collector
) -> tuple[Sequence[Patch], Mapping[tuple[int, int], str]]:
    """The patches whose weights are to be compared, and the pairs that hold the same delta."""
    if base is not None:
        unfit = misfits(patches, base)
        collector.add(unfit.values())
        patches = [patch for number, patch in enumerate(patches) if number not in unfit]
    else:
        collector.add(apart(patches))
    held = held_twice(patches)
    for (one, other), sentence in sorted(held.items()):
        labels = (patches[one].label, patches[other].label)
        collector.add([Finding(WEIGHTS, CONFLICT, labels, "delta", sentence)])
    return patches, held
