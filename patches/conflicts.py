"""What clashes between patches: in the facts that they state, and in the weights that they change."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from . import arithmetic
from .operations.base import Operation
from .operations.lowrank import LowRank
from .patch import Patch
from .requests import EditRequest

STRONG_INTERFERENCE = 0.5
"""From here on an edit moves what another one wrote by half of what that one changed."""

CONFLICT, WARNING, NOTE = "conflict", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that two patches have to do with each other.

    `level` is "facts" or "weights", `severity` "conflict", "warning" or "note".
    """

    level: str
    severity: str
    patches: tuple[str, str]
    where: str
    sentence: str
    numbers: dict[str, float] = field(default_factory=dict)


def check(patches: Sequence[Patch]) -> list[Finding]:
    """Everything found between each pair, gravest first."""
    found = [
        finding
        for first, second in combinations(patches, 2)
        for finding in (*_facts(first, second), *_weights(first, second))
    ]
    grave = [CONFLICT, WARNING, NOTE]
    return sorted(found, key=lambda finding: (grave.index(finding.severity), finding.where))


def _facts(first: Patch, second: Patch) -> Iterator[Finding]:
    for one in first.requests:
        for other in second.requests:
            if normalised(one.subject) == normalised(other.subject):
                severity, sentence = _judge(one, other)
                pair = (first.label, second.label)
                yield Finding("facts", severity, pair, one.subject, sentence)


def _judge(one: EditRequest, other: EditRequest) -> tuple[str, str]:
    same_target = normalised(one.target) == normalised(other.target)
    if _texts(one) & _texts(other):
        if same_target:
            return WARNING, f"both say {one.text!r} → {one.target!r}: the edit is made twice"
        return CONFLICT, (
            f"contradiction: {one.text!r} → {one.target!r} in one, {other.target!r} in the other"
        )
    if same_target:
        return NOTE, f"both are about {one.subject!r} and answer {one.target!r}"
    return WARNING, (
        f"both are about {one.subject!r}: {one.text!r} → {one.target!r}, "
        f"{other.text!r} → {other.target!r}"
    )


def _texts(request: EditRequest) -> set[str]:
    prompts = [request.text, *(probe.prompt for probe in request.paraphrases)]
    return {normalised(prompt) for prompt in prompts}


def normalised(text: str) -> str:
    """Text as it is compared: compatibility form (NFKC), case folded, white space as one blank."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _weights(first: Patch, second: Patch) -> Iterator[Finding]:
    pair = (first.label, second.label)
    shared = arithmetic.sources(first) & arithmetic.sources(second)
    if shared:
        yield Finding("weights", CONFLICT, pair, "delta", "both hold the same delta")
        return
    for tensor in sorted(set(first.operations) & set(second.operations)):
        numbers = {"cosine": _cosine(first.operations[tensor], second.operations[tensor])}
        crossed = [
            effect
            for edit, victim in ((first, second), (second, first))
            if (effect := interference(edit, victim, tensor)) is not None
        ]
        if crossed:
            numbers["interference"] = max(crossed)
        severity = WARNING if numbers.get("interference", 0.0) >= STRONG_INTERFERENCE else NOTE
        yield Finding("weights", severity, pair, tensor, _sentence(numbers), numbers)


def _sentence(numbers: dict[str, float]) -> str:
    sentence = f"both change this tensor, cosine of the two deltas {numbers['cosine']:+.3f}"
    if "interference" in numbers:
        sentence += f"; one moves the other's answer by {numbers['interference']:.1%} of its change"
    return sentence


def interference(edit: Patch, victim: Patch, tensor: str) -> float | None:
    """How far `edit` moves what `victim` wrote: largest ‖Δ k‖ / ‖r‖ over the victim's keys.

    k [N, in] and r [N, out] are the keys and residuals that a locate-and-edit method keeps beside
    its delta. None if the victim kept none, or the edit is not low-rank.
    """
    keys = victim.auxiliary.get(f"{tensor}::aux.key")
    residuals = victim.auxiliary.get(f"{tensor}::aux.residual")
    operations = edit.operations[tensor]
    if keys is None or residuals is None or not all(isinstance(o, LowRank) for o in operations):
        return None
    moved = sum(_moved(operation, keys, residuals) for operation in operations)
    sizes = np.linalg.norm(residuals.astype(np.float64), axis=1)
    return float(np.max(np.linalg.norm(moved, axis=1) / np.maximum(sizes, 1e-30)))


def _moved(
    operation: Operation, keys: NDArray[np.float32], residuals: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Δ k for each key [N, out]; Δ is stored [out, in], or [in, out] where the model does so."""
    a, b = (operation.parts[part].astype(np.float64) for part in ("A", "B"))
    if operation.shape == (residuals.shape[1], keys.shape[1]):
        return np.asarray((keys.astype(np.float64) @ b.T) @ a.T)
    return np.asarray((keys.astype(np.float64) @ a) @ b)


def _cosine(first: Sequence[Operation], second: Sequence[Operation]) -> float:
    size = np.sqrt(_inner(first, first) * _inner(second, second))
    return float(_inner(first, second) / size) if size else 0.0


def _inner(first: Sequence[Operation], second: Sequence[Operation]) -> float:
    """⟨Δ₁, Δ₂⟩ summed over all pairs of terms."""
    return sum(_inner_pair(one, other) for one in first for other in second)


def _inner_pair(one: Operation, other: Operation) -> float:
    if isinstance(one, LowRank) and isinstance(other, LowRank):
        a1, b1, a2, b2 = (f.astype(np.float64) for f in (one.a, one.b, other.a, other.b))
        return float(np.sum((a1.T @ a2) * (b1 @ b2.T)))
    rows = one.shape[0]
    return float(sum(np.sum(one.rows(i, i + 1) * other.rows(i, i + 1)) for i in range(rows)))
