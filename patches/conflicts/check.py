"""What clashes between patches: in the facts they state, and in the weights they change."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, islice, product

import numpy as np
from numpy.typing import NDArray

from ..errors import ConflictFound
from ..format.manifest import BaseRecord, TensorRecord
from ..format.patch import Patch
from ..inner_products import cosine
from ..operations.base import Array, Operation
from ..operations.lowrank import LowRank
from ..requests import EditRequest
from ..terms import require_compatible, sources

STRONG_INTERFERENCE = 0.5
"""From here on an edit moves what another one wrote by half of what that one changed."""

MAX_FINDINGS = 1_000
"""Findings about the requests of one pair of patches; one more says how many were left out."""

MORE = "more"

CONFLICT, WARNING, NOTE = "conflict", "warning", "note"
FACTS, WEIGHTS = "facts", "weights"
BASE = "base"
"""Where a finding is that is about the bases as a whole."""


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
        for finding in (*_bases(first, second), *_facts(first, second), *_weights(first, second))
    ]
    grave = [CONFLICT, WARNING, NOTE]
    return sorted(
        found,
        key=lambda finding: (grave.index(finding.severity), MORE in finding.numbers, finding.where),
    )


def _facts(first: Patch, second: Patch) -> Iterator[Finding]:
    """What the requests of a pair have to do with each other, gravest first, and how many more."""
    pair = (first.label, second.label)
    mine, theirs = _by_subject(first.requests), _by_subject(second.requests)
    common = [(mine[subject], theirs[subject]) for subject in sorted(set(mine) & set(theirs))]
    shown, severity = 0, NOTE
    for one, other in islice(_pairs(common), MAX_FINDINGS):
        shown += 1
        severity, sentence = _judge(one, other)
        yield Finding(FACTS, severity, pair, one.subject, sentence)
    left = sum(len(ours) * len(others) for ours, others in common) - shown
    if left:
        sentence = f"{left} more pairs of requests are about the same subjects"
        yield Finding(FACTS, severity, pair, MORE, sentence, {MORE: left})


def _by_subject(requests: Iterable[EditRequest]) -> Mapping[str, list[EditRequest]]:
    found: dict[str, list[EditRequest]] = {}
    for request in requests:
        found.setdefault(normalised(request.subject), []).append(request)
    return found


Common = Sequence[tuple[list[EditRequest], list[EditRequest]]]
Targets = dict[str, list[EditRequest]]


def _pairs(common: Common) -> Iterator[tuple[EditRequest, EditRequest]]:
    """All pairs on one subject, each once: one prompt with two answers, one edit twice, the rest.

    The others are looked up by prompt and answer, so that the first of many pairs come at once.
    """
    seen: set[tuple[int, int]] = set()
    for by_prompt, same in ((True, False), (True, True), (False, False), (False, True)):
        for ours, others in common:
            groups = _by_text(others) if by_prompt else {"": _by_target(others)}
            for one in ours:
                keys = _texts(one) if by_prompt else {""}
                for other in _chosen(groups, sorted(keys), normalised(one.target), same=same):
                    if (id(one), id(other)) not in seen:
                        seen.add((id(one), id(other)))
                        yield one, other


def _chosen(
    groups: Mapping[str, Targets], keys: Sequence[str], target: str, *, same: bool
) -> Iterator[EditRequest]:
    for found in (groups[key] for key in keys if key in groups):
        if same:
            yield from found.get(target, [])
        else:
            yield from chain.from_iterable(found[other] for other in found if other != target)


def _by_text(requests: Iterable[EditRequest]) -> dict[str, Targets]:
    found: dict[str, Targets] = {}
    for request in requests:
        for text in _texts(request):
            found.setdefault(text, {}).setdefault(normalised(request.target), []).append(request)
    return found


def _by_target(requests: Iterable[EditRequest]) -> Targets:
    found: Targets = {}
    for request in requests:
        found.setdefault(normalised(request.target), []).append(request)
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


def _bases(first: Patch, second: Patch) -> Iterator[Finding]:
    """That no base of one has the name of a base of the other, and no weights show them alike.

    A copy may have a name of its own: of one with the same tokenizer there is only a warning.
    """
    if set(first.operations) & set(second.operations):
        return  # the tensors that both change tell for certain
    pairs = list(product(first.manifest.bases, second.manifest.bases))
    if any(one.id == other.id for one, other in pairs):
        return
    names = [
        " or ".join(dict.fromkeys(base.label for base in patch.manifest.bases))
        for patch in (first, second)
    ]
    sentence = f"made for different bases: {names[0]}, and {names[1]}"
    severity = CONFLICT
    if any(_same_tokenizer(one, other) for one, other in pairs):
        sentence += "; they have the same tokenizer, so one may be a copy of the other"
        severity = WARNING
    yield Finding(WEIGHTS, severity, (first.label, second.label), BASE, sentence)


def _same_tokenizer(one: BaseRecord, other: BaseRecord) -> bool:
    return one.tokenizer is not None and one.tokenizer == other.tokenizer


def _weights(first: Patch, second: Patch) -> Iterator[Finding]:
    pair = (first.label, second.label)
    if sources(first) & sources(second):
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
    pair = (first.label, second.label)
    try:
        require_compatible(tensor, [*first.operations[tensor], *second.operations[tensor]])
    except ConflictFound as error:
        return Finding(WEIGHTS, CONFLICT, pair, tensor, error.why or error.message)
    numbers = {}
    angle = cosine(first.operations[tensor], second.operations[tensor])
    if angle is not None:
        numbers["cosine"] = angle
    crossed = [
        effect
        for edit, victim in ((first, second), (second, first))
        if (effect := interference(edit, victim, tensor)) is not None
    ]
    if crossed:
        numbers["interference"] = max(crossed)
    severity = WARNING if numbers.get("interference", 0.0) >= STRONG_INTERFERENCE else NOTE
    return Finding(WEIGHTS, severity, pair, tensor, _sentence(numbers), numbers)


def _sentence(numbers: dict[str, float]) -> str:
    sentence = "both change this tensor"
    if "cosine" in numbers:
        sentence += f", cosine of the two deltas {numbers['cosine']:+.3f}"
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
    factors = [(o.a[:].astype(np.float64), o.b[:].astype(np.float64)) for o in operations]
    return np.asarray(sum((wide @ a) @ b if transposed else (wide @ b.T) @ a.T for a, b in factors))
