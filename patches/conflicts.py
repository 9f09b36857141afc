"""What clashes between patches: in the facts they state, and in the weights they change."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from . import arithmetic
from .manifest import TensorRecord
from .operations.base import Array, Operation
from .operations.lowrank import LowRank
from .patch import Patch
from .requests import EditRequest

STRONG_INTERFERENCE = 0.5
"""From here on an edit moves what another one wrote by half of what that one changed."""

CONFLICT, WARNING, NOTE = "conflict", "warning", "note"
FACTS, WEIGHTS = "facts", "weights"


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
    about = _by_subject(second.requests)
    for one in first.requests:
        for other in about.get(normalised(one.subject), []):
            severity, sentence = _judge(one, other)
            yield Finding(FACTS, severity, (first.label, second.label), one.subject, sentence)


def _by_subject(requests: Iterable[EditRequest]) -> Mapping[str, list[EditRequest]]:
    found: dict[str, list[EditRequest]] = {}
    for request in requests:
        found.setdefault(normalised(request.subject), []).append(request)
    return found


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
    if arithmetic.sources(first) & arithmetic.sources(second):
        yield Finding(WEIGHTS, CONFLICT, pair, "delta", "both hold the same delta")
        return
    for tensor in sorted(set(first.operations) & set(second.operations)):
        if _forms(first, tensor) & _forms(second, tensor):
            yield _overlap(first, second, tensor)
        else:
            sentence = "made for different bases: they expect other weights here"
            yield Finding(WEIGHTS, CONFLICT, pair, tensor, sentence)


def _forms(patch: Patch, tensor: str) -> set[TensorRecord]:
    return {base.tensors[tensor] for base in patch.manifest.bases}


def _overlap(first: Patch, second: Patch, tensor: str) -> Finding:
    numbers = {"cosine": _cosine(first.operations[tensor], second.operations[tensor])}
    crossed = [
        effect
        for edit, victim in ((first, second), (second, first))
        if (effect := interference(edit, victim, tensor)) is not None
    ]
    if crossed:
        numbers["interference"] = max(crossed)
    severity = WARNING if numbers.get("interference", 0.0) >= STRONG_INTERFERENCE else NOTE
    pair = (first.label, second.label)
    return Finding(WEIGHTS, severity, pair, tensor, _sentence(numbers), numbers)


def _sentence(numbers: dict[str, float]) -> str:
    sentence = f"both change this tensor, cosine of the two deltas {numbers['cosine']:+.3f}"
    if "interference" in numbers:
        sentence += f"; one moves the other's answer by {numbers['interference']:.1%} of its change"
    return sentence


def interference(edit: Patch, victim: Patch, tensor: str) -> float | None:
    """How far `edit` moves what `victim` wrote: largest ‖Δ k‖ / ‖r‖ over the victim's keys.

    k [N, in] and r [N, out] are the keys and residuals that a locate-and-edit method keeps beside
    its delta. None if the victim kept none that fit, or the edit is not low-rank.
    """
    keys = victim.auxiliary.get(f"{tensor}::aux.keys")
    residuals = victim.auxiliary.get(f"{tensor}::aux.residuals")
    operations = _lowrank(edit.operations[tensor])
    if keys is None or residuals is None or operations is None:
        return None
    shape = operations[0].shape
    if keys.ndim != 2 or residuals.ndim != 2 or len(keys) != len(residuals):
        return None
    if sorted(shape) != sorted((keys.shape[1], residuals.shape[1])):
        return None
    transposed = _is_transposed(shape, _lowrank(victim.operations[tensor]), keys, residuals)
    moved = np.linalg.norm(_moved(operations, keys, transposed=transposed), axis=1)
    sizes = np.linalg.norm(residuals.astype(np.float64), axis=1)
    return float(np.max(moved / np.maximum(sizes, 1e-30)))


def _lowrank(operations: Sequence[Operation]) -> list[LowRank] | None:
    found = [operation for operation in operations if isinstance(operation, LowRank)]
    return found if len(found) == len(operations) else None


def _is_transposed(
    shape: tuple[int, ...], own: Sequence[LowRank] | None, keys: Array, residuals: Array
) -> bool:
    """Whether the tensor is stored [in, out], as in GPT-2, rather than [out, in].

    A square one does not tell by its shape, but a delta does: it maps its own keys to about its own
    residuals.
    """
    if shape[0] != shape[1] or own is None:
        return shape != (residuals.shape[1], keys.shape[1])
    straight, turned = (
        np.linalg.norm(_moved(own, keys, transposed=transposed) - residuals)
        for transposed in (False, True)
    )
    return bool(turned < straight)


def _moved(operations: Sequence[LowRank], keys: Array, *, transposed: bool) -> NDArray[np.float64]:
    """Δ k for each key, [N, out]."""
    wide = keys.astype(np.float64)
    factors = [(o.a.astype(np.float64), o.b.astype(np.float64)) for o in operations]
    return np.asarray(sum((wide @ a) @ b if transposed else (wide @ b.T) @ a.T for a, b in factors))


def _cosine(first: Sequence[Operation], second: Sequence[Operation]) -> float:
    size = np.sqrt(max(0.0, _inner(first, first) * _inner(second, second)))
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
