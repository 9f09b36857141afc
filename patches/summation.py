"""W' = round(W + Δ): the one sum, in float64, of all operations on a tensor.

The terms are added one after another in the order of the digests of the delta files that they were
first published in, then to the weight, then rounded once. So neither the order in which patches are
named nor how they were composed can change a bit.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arithmetic import dtypes
from .checkpoints.checkpoint import Checkpoint
from .digests import sha256
from .errors import ConflictFound, DigestMismatch
from .format.patch import DELTA, Patch
from .operations.base import Operation

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


def stream(
    checkpoint: Checkpoint, name: str, operations: Sequence[Operation]
) -> Iterator[NDArray[np.generic]]:
    """The patched tensor block by block, as bits to store one after another.

    Raises NonFinite, and after the last block DigestMismatch if what was read is not the tensor
    that the checkpoint was found to hold before.
    """
    info = checkpoint.tensors[name]
    read = hashlib.sha256()
    start = 0
    for bits in checkpoint.blocks(name, BLOCK_ELEMENTS):
        read.update(bits.tobytes())
        yield patched_rows(bits, info.dtype, operations, start)
        start += len(bits)
    if read.hexdigest() != checkpoint.digest(name):
        raise DigestMismatch(f"{name} of the base changed while it was read")


def patched(
    bits: NDArray[np.generic], dtype: str, operations: Sequence[Operation]
) -> NDArray[np.generic]:
    """The whole patched tensor, in the shape of `bits`; raises NonFinite."""
    result = np.empty_like(bits)
    before, after = bits.reshape(len(bits), -1), result.reshape(len(bits), -1)
    step = max(1, BLOCK_ELEMENTS // before.shape[1])
    for start in range(0, len(bits), step):
        block = before[start : start + step]
        after[start : start + step] = patched_rows(block, dtype, operations, start)
    return result


def patched_rows(
    bits: NDArray[np.generic], dtype: str, operations: Sequence[Operation], start: int
) -> NDArray[np.generic]:
    """Rows of the patched tensor from row `start` on; `bits` [rows, columns] are the base's."""
    stop = start + len(bits)
    delta = operations[0].rows(start, stop)
    for operation in operations[1:]:
        delta += operation.rows(start, stop)
    # A product of zero and a negative number may be -0 or 0, depending on the BLAS.
    delta += 0.0
    delta += dtypes.widen(bits, dtype)
    return dtypes.narrow(delta, dtype)


def norm(checkpoint: Checkpoint, name: str) -> float:
    """Frobenius norm of a stored tensor."""
    return _norm(checkpoint.blocks(name, BLOCK_ELEMENTS), checkpoint.tensors[name].dtype)


def bits_norm(bits: NDArray[np.generic], dtype: str) -> float:
    """Frobenius norm of a tensor given as its stored bits."""
    flat = bits.reshape(-1)
    starts = range(0, flat.size, BLOCK_ELEMENTS)
    return _norm((flat[start : start + BLOCK_ELEMENTS] for start in starts), dtype)


def _norm(blocks: Iterable[NDArray[np.generic]], dtype: str) -> float:
    wide = (dtypes.widen(bits, dtype).ravel() for bits in blocks)
    return math.sqrt(sum(float(block @ block) for block in wide))


def bits_digest(bits: NDArray[np.generic]) -> str:
    """sha256 of the bits as they are stored in a file."""
    return sha256(np.ascontiguousarray(bits).data.cast("B"))  # type: ignore[arg-type]


def _place(term: Term) -> tuple[str, int]:
    return term.source, term.index
