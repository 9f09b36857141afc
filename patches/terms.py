"""Which operations of which patches meet on a tensor, and in what order they are summed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from .errors import ConflictFound
from .format.patch import DELTA, Patch
from .operations.base import Operation, Replacement, Widening


@dataclass(frozen=True)
class Term:
    """An operation and its place in the sum: the digest of its first delta file, and its index."""

    source: str
    index: int
    operation: Operation


Terms = Mapping[str, Sequence[Term]]
"""By tensor, in the order of summation."""


def sum_of(patches: Iterable[Patch]) -> dict[str, list[Term]]:
    """The terms of all patches by tensor, in the order of summation.

    Raises ConflictFound if the same delta would be added twice, as when a composition is used
    together with one of its members, or if an entry that one patch replaces is changed by another.
    """
    terms: dict[str, list[Term]] = {}
    owners: dict[str, str] = {}
    for patch in patches:
        for source in sources(patch):
            if source in owners:
                raise ConflictFound(
                    f"{owners[source]} and {patch.label} hold the same delta",
                    why="it would be added twice",
                    hint="name each patch once, and not together with a composition that holds it",
                )
            owners[source] = patch.label
        for tensor, found in patch_terms(patch).items():
            terms.setdefault(tensor, []).extend(found)
    for tensor, found in terms.items():
        require_compatible(tensor, [term.operation for term in found])
    return {name: sorted(found, key=_place) for name, found in sorted(terms.items())}


def sources(patch: Patch) -> set[str]:
    """Digests of the delta files whose terms this patch holds."""
    return {term.source for found in patch_terms(patch).values() for term in found}


def patch_terms(patch: Patch) -> dict[str, list[Term]]:
    """The terms of one patch by tensor, in the order of its delta file."""
    own = patch.manifest.files[DELTA].sha256
    terms = {}
    for tensor, operations in patch.operations.items():
        records = patch.manifest.operations[tensor]
        terms[tensor] = [
            Term(record.source or own, index, operation)
            for index, (record, operation) in enumerate(zip(records, operations, strict=True))
        ]
    return terms


def require_compatible(tensor: str, operations: Sequence[Operation]) -> None:
    """Raise ConflictFound if an entry that is replaced is changed a second time."""
    changing = [operation for operation in operations if not isinstance(operation, Widening)]
    for one, other in combinations(changing, 2):
        if any(isinstance(each, Replacement) for each in (one, other)) and _meet(one, other):
            raise ConflictFound(
                f"{tensor} is replaced and changed at the same place",
                why=f"{one.kind} and {other.kind} meet on an entry, "
                "and a replaced one admits no second operation",
                hint="use one of the patches, or make one patch that does what both should",
            )


def _meet(one: Operation, other: Operation) -> bool:
    if one.entries is None or other.entries is None:
        return True
    return one.entries.meets(other.entries)


def _place(term: Term) -> tuple[str, int]:
    return term.source, term.index
