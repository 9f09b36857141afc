"""What clashes where patches change the same tensor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..errors import ConflictFound
from ..format.patch import Patch
from ..operations.base import Replacement
from ..terms import require_compatible
from .bases import ELSEWHERE
from .blocks import blocks
from .findings import CONFLICT, NOT_COMPARED, SEVERITIES, WEIGHTS, Finding
from .measures import Delta, compare
from .report import Collector
from .thresholds import Thresholds

MAX_COMPARED = 300
"""Pairs of deltas on one tensor that are compared one by one, which dense ones have to be, as long
as no measure refuses."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Meeting:
    """The patches that change one tensor, and which pairs of them are still to be judged."""

    tensor: str
    patches: Sequence[Patch]
    open: Mask
    """[N, N], true above the diagonal only."""

    def close(self, one: int, other: int) -> None:
        """Say that a pair has been judged."""
        self.open[min(one, other), max(one, other)] = False

    def labels(self, one: int, other: int) -> tuple[str, str]:
        """The labels of a pair, in the order of the patches."""
        return self.patches[min(one, other)].label, self.patches[max(one, other)].label


def meeting(
    patches: Sequence[Patch],
    numbers: Sequence[int],
    tensor: str,
    held: Mapping[tuple[int, int], str],
) -> Meeting:
    """Those patches, by `numbers`, that change a tensor; pairs in `held` have been judged."""
    size = len(numbers)
    found = Meeting(
        tensor, [patches[each] for each in numbers], np.triu(np.ones((size, size), bool), 1)
    )
    place = {number: here for here, number in enumerate(numbers)}
    for one, other in held:
        if one in place and other in place:
            found.close(place[one], place[other])
    return found


def judge_forms(meeting: Meeting, collector: Collector) -> None:
    """Pairs that expect different weights in the tensor cannot be used together."""
    alike: dict[frozenset[object], list[int]] = {}
    for number, patch in enumerate(meeting.patches):
        forms = frozenset(base.tensors[meeting.tensor] for base in patch.manifest.bases)
        alike.setdefault(forms, []).append(number)
    for (mine, ones), (theirs, others) in combinations(alike.items(), 2):
        if mine & theirs:
            continue
        for one in ones:
            for other in others:
                _refuse(meeting, collector, one, other, ELSEWHERE)


def judge_entries(meeting: Meeting, collector: Collector) -> None:
    """A replaced entry admits no second operation."""
    replacing = [
        number
        for number, patch in enumerate(meeting.patches)
        if any(isinstance(each, Replacement) for each in patch.operations[meeting.tensor])
    ]
    for one in replacing:
        for other in range(len(meeting.patches)):
            if meeting.open[min(one, other), max(one, other)]:
                pair = [meeting.patches[each] for each in sorted((one, other))]
                operations = [each for patch in pair for each in patch.operations[meeting.tensor]]
                try:
                    require_compatible(meeting.tensor, operations)
                except ConflictFound as error:
                    _refuse(meeting, collector, one, other, error.why or error.message)


def judge_measures(
    meeting: Meeting, thresholds: Thresholds, collector: Collector, *, many: bool
) -> None:
    """How much the deltas of each pair have to do with each other.

    With `many` low-rank deltas are compared all at once. All pairs are compared if a measure may
    refuse one; else MAX_COMPARED of those that are compared one by one, and the rest is counted.
    """
    if many:
        _judge_blocks(meeting, thresholds, collector)
    deltas = [Delta(patch, meeting.tensor) for patch in meeting.patches]
    pairs = np.argwhere(meeting.open)
    most = len(pairs) if thresholds.may_refuse else MAX_COMPARED
    for one, other in pairs[:most]:
        numbers = compare(deltas[one], deltas[other]).numbers()
        collector.add([_finding(meeting, one, other, numbers, thresholds)])
    collector.leave_out(NOT_COMPARED, len(pairs[most:]))


def _judge_blocks(meeting: Meeting, thresholds: Thresholds, collector: Collector) -> None:
    for block in blocks(meeting.patches, meeting.tensor):
        here = np.ix_(block.rows, block.columns)
        pending = meeting.open[here]
        meeting.open[here] = False
        levels = thresholds.levels(block.measures)
        for level, severity in enumerate(SEVERITIES):
            chosen = pending & (levels == level)
            if not collector.takes(severity):
                collector.leave_out(severity, int(chosen.sum()))
                continue
            for row, column in np.argwhere(chosen):
                numbers = {
                    name: float(found[row, column])
                    for name, found in block.measures.items()
                    if not np.isnan(found[row, column])
                }
                one, other = block.rows[row], block.columns[column]
                collector.add([_finding(meeting, one, other, numbers, thresholds)])


def _refuse(meeting: Meeting, collector: Collector, one: int, other: int, why: str) -> None:
    if meeting.open[min(one, other), max(one, other)]:
        meeting.close(one, other)
        labels = meeting.labels(one, other)
        collector.add([Finding(WEIGHTS, CONFLICT, labels, meeting.tensor, why)])


def _finding(
    meeting: Meeting, one: int, other: int, numbers: dict[str, float], thresholds: Thresholds
) -> Finding:
    severity = thresholds.severity(numbers)
    labels = meeting.labels(one, other)
    return Finding(WEIGHTS, severity, labels, meeting.tensor, sentence(numbers), numbers)


def sentence(numbers: Mapping[str, float]) -> str:
    """The measures of a pair in words."""
    said = "both change this tensor"
    if "cosine" in numbers:
        said += f", cosine of the two deltas {numbers['cosine']:+.3f}"
    if "interference" in numbers:
        said += f"; one moves the other's answer by {numbers['interference']:.1%} of its change"
    if "input_overlap" in numbers:
        said += (
            f"; what they read overlaps by {numbers['input_overlap']:.1%}, "
            f"what they write by {numbers['output_overlap']:.1%}"
        )
    if numbers.get("common_entries"):
        said += f"; {numbers['common_entries']:.1%} of the entries that one lists, the other does"
    return said
