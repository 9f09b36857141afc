"""One edit as the victim of another: what became of it, and what the weights alone said before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
from weightpatch.patches.conflicts.measures import interference, measure
from weightpatch.patches.format.patch import Patch

from .asking import Answer, Answers
from .cases import Pair

INTERFERENCE, KEYS = "interference", "overlap of keys"
SCORES = {
    INTERFERENCE: "‖Δk‖ / ‖r‖",
    "cosine": "size of the cosine of the deltas",
    "overlap": "φ of the spaces read, above chance",
    "output overlap": "φ of the spaces written, above chance",
    KEYS: "largest size of the cosine of two keys",
}
HALVED = log(2)


@dataclass(frozen=True)
class Outcome:
    """What `edit` does to a victim that works alone, and the scores of the two by name.

    `drop` of log p of the target on the rewrite prompt, a mean over its tokens; `drop_elsewhere`
    the mean of the same over paraphrases, None if there are none.
    """

    kind: str
    scores: Mapping[str, float]
    lost: bool
    drop: float
    drop_elsewhere: float | None

    @property
    def halved(self) -> bool:
        """Whether the target is less than half as likely, per token."""
        return self.drop > HALVED


def outcomes(pairs: Sequence[Pair], folders: Mapping[str, Path], answers: Answers) -> list[Outcome]:
    """Both directions of each pair; a victim that does not work alone has nothing to lose."""
    found = []
    opened = {folder: Patch.open(folder) for folder in folders.values()}
    for pair in pairs:
        first, second = (folders[case.request.id] for case in (pair.first, pair.second))
        common = _common(opened[first], opened[second])
        for edit, victim in ((first, second), (second, first)):
            one = outcome(
                pair.kind,
                {INTERFERENCE: _effect(opened[edit], opened[victim]), **common},
                answers.of(victim, (victim,)),
                answers.of(victim, (first, second)),
            )
            if one:
                found.append(one)
    return found


def outcome(
    kind: str, scores: Mapping[str, float], alone: Sequence[Answer], together: Sequence[Answer]
) -> Outcome | None:
    """What became of a victim; None if it does not work alone, and so has nothing to lose."""
    if not alone[0].matched:
        return None
    drops = [one.log_prob - other.log_prob for one, other in zip(alone, together, strict=True)]
    return Outcome(
        kind,
        scores,
        lost=not together[0].matched,
        drop=drops[0],
        drop_elsewhere=float(np.mean(drops[1:])) if len(drops) > 1 else None,
    )


def _effect(edit: Patch, victim: Patch) -> float:
    """The largest over the tensors that both change."""
    common = set(edit.operations) & set(victim.operations)
    return max((interference(edit, victim, tensor) or 0.0 for tensor in common), default=0.0)


def _common(first: Patch, second: Patch) -> dict[str, float]:
    """What is the same in both directions, the largest over the tensors that both change."""
    tensors = sorted(set(first.operations) & set(second.operations))
    found = [measure(first, second, tensor) for tensor in tensors]
    return {
        "cosine": max(abs(one.cosine or 0.0) for one in found),
        "overlap": max(one.input_excess or 0.0 for one in found),
        "output overlap": max(one.output_excess or 0.0 for one in found),
        KEYS: max(_cosine_of_keys(first, second, tensor) for tensor in tensors),
    }


def _cosine_of_keys(first: Patch, second: Patch, tensor: str) -> float:
    ones, others = (
        keys / np.linalg.norm(keys, axis=1, keepdims=True)
        for keys in (patch.auxiliary[f"{tensor}::aux.keys"] for patch in (first, second))
    )
    return float(np.max(np.abs(ones @ others.T)))
