"""W' = round(W + Δ): the one sum, in float64, of all operations on a tensor.

The terms are added one after another in the order of the digests of the delta files that they were
first published in, then to the weight, then rounded once. So neither the order in which patches are
named nor how they were composed can change a bit.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import dtypes
from .digests import sha256
from .errors import ConflictFound
from .operations.base import Operation
from .patch import DELTA, Patch

BLOCK_ELEMENTS = 1 << 18
"""Elements summed at a time: 2 MiB of float64, so that a block stays in the cache."""


@dataclass(frozen=True)
class Term:
    """An operation and its place in the sum: the digest of its first delta file, and its index."""

    source: str
    index: int
    operation: Operation


def sum_of(patches: Iterable[Patch]) -> dict[str, list[Term]]:
    """The terms of all patches by tensor, in the order of summation.

    Raises ConflictFound if the same delta would be added twice, as when a composition is used
    together with one of its members.
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


def blocks(
    bits: NDArray[np.generic], dtype: str, operations: Sequence[Operation]
) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Blocks of the patched tensor: the first row of each, and its bits.

    `bits` is the stored tensor in its own shape, bfloat16 as uint16. Raises NonFinite.
    """
    rows = bits.shape[0]
    table = bits.reshape(rows, -1)
    step = max(1, BLOCK_ELEMENTS // max(1, table.shape[1]))
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        delta = operations[0].rows(start, stop)
        for operation in operations[1:]:
            delta += operation.rows(start, stop)
        delta += dtypes.widen(table[start:stop], dtype)
        yield start, dtypes.narrow(delta, dtype)


def patched(
    bits: NDArray[np.generic], dtype: str, operations: Sequence[Operation]
) -> NDArray[np.generic]:
    """The whole patched tensor, in the shape of `bits`; raises NonFinite."""
    result = np.empty_like(bits)
    table = result.reshape(bits.shape[0], -1)
    for start, block in blocks(bits, dtype, operations):
        table[start : start + len(block)] = block
    return result


def norm(bits: NDArray[np.generic], dtype: str) -> float:
    """Frobenius norm of a stored tensor."""
    return float(np.linalg.norm(dtypes.widen(bits, dtype).ravel()))


def bits_digest(bits: NDArray[np.generic]) -> str:
    """sha256 of the bits as they are stored in a file."""
    return sha256(np.ascontiguousarray(bits).data.cast("B"))  # type: ignore[arg-type]


def _place(term: Term) -> tuple[str, int]:
    return term.source, term.index
