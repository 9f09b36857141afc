"""Patches that were made for different bases."""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

from ..base_match import match_base
from ..checkpoints.checkpoint import Checkpoint
from ..errors import BaseMismatch
from ..format.manifest import BaseRecord
from ..format.patch import Patch
from .findings import BASE, CONFLICT, WARNING, WEIGHTS, Finding

ELSEWHERE = "made for different bases: they expect other weights here"


def misfits(patches: Sequence[Patch], base: Checkpoint) -> dict[int, Finding]:
    """Those patches, by number, that were not made for a base; hashes the tensors they touch.

    Raises Unsupported, if the base is quantised.
    """
    found = {}
    for number, patch in enumerate(patches):
        try:
            match_base(patch, base)
        except BaseMismatch as error:
            sentence = f"{patch.label} was made for another base: {error.why}"
            found[number] = Finding(WEIGHTS, CONFLICT, (patch.label, base.id), BASE, sentence)
    return found


def apart(patches: Sequence[Patch]) -> Iterator[Finding]:
    """Pairs of which no base of one has the name of a base of the other, and no tensor tells.

    A copy may have a name of its own: of one with the same tokenizer there is only a warning.
    """
    alike: dict[tuple[tuple[str, str | None], ...], list[Patch]] = {}
    for patch in patches:
        key = tuple(
            sorted({(base.label, base.tokenizer) for base in patch.manifest.bases}, key=str)
        )
        alike.setdefault(key, []).append(patch)
    order = {id(patch): number for number, patch in enumerate(patches)}
    for ones, others in combinations(alike.values(), 2):
        pairs = list(product(ones[0].manifest.bases, others[0].manifest.bases))
        if any(one.id == other.id for one, other in pairs):
            continue
        copied = any(_same_tokenizer(one, other) for one, other in pairs)
        for pair in product(ones, others):
            first, second = sorted(pair, key=lambda patch: order[id(patch)])
            # The tensors that both change tell for certain.
            if not set(first.manifest.operations) & set(second.manifest.operations):
                yield _finding(first, second, copied=copied)


def _finding(first: Patch, second: Patch, *, copied: bool) -> Finding:
    names = [
        " or ".join(dict.fromkeys(base.label for base in patch.manifest.bases))
        for patch in (first, second)
    ]
    sentence = f"made for different bases: {names[0]}, and {names[1]}"
    if copied:
        sentence += "; they have the same tokenizer, so one may be a copy of the other"
    severity = WARNING if copied else CONFLICT
    return Finding(WEIGHTS, severity, (first.label, second.label), BASE, sentence)


def _same_tokenizer(one: BaseRecord, other: BaseRecord) -> bool:
    return one.tokenizer is not None and one.tokenizer == other.tokenizer
