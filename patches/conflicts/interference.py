"""How far one edit moves what another one wrote, from the keys and residuals that it kept.

A locate-and-edit method gives the key k of a subject a new value: its delta Δ' maps k to the
residual r = v* - v (Meng et al. 2022, arXiv:2202.05262, eq. 2). Another delta Δ on the same tensor
moves that answer by Δk, so ‖Δk‖ / ‖r‖ is the part of the change that it moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..format.patch import Patch
from ..operations.lowrank import LowRank
from .orientation import KEYS, RESIDUALS, StoredEdit, is_transposed, kept_array, moved
from .spectrum import Matrix, lowrank_terms

TINY = 1e-30
"""The size of a residual of zeros: whatever moves its answer, moves it without end."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Keys [N, in], the sizes of their residuals [N], and how their tensor is stored."""

    keys: Matrix
    sizes: Matrix
    transposed: bool
    """Whether the tensor is stored [in, out], as in GPT-2, rather than [out, in]."""


def kept(patch: Patch, tensor: str) -> Kept | None:
    """What a patch kept beside its delta of one tensor; None if nothing that fits."""
    keys, residuals = (kept_array(patch, tensor, what) for what in (KEYS, RESIDUALS))
    operations = patch.operations[tensor]
    shape = operations[0].shape
    if keys is None or residuals is None or len(shape) != 2:
        return None
    if keys.ndim != 2 or residuals.ndim != 2 or len(keys) != len(residuals) or not len(keys):
        return None
    if sorted(shape) != sorted((keys.shape[1], residuals.shape[1])):
        return None
    keys, residuals = keys.astype(np.float64), residuals.astype(np.float64)
    terms = lowrank_terms(operations)
    if terms is not None:
        transposed = is_transposed([StoredEdit(*_factors(terms), keys, residuals)])
    else:
        transposed = shape != (residuals.shape[1], keys.shape[1])
    return Kept(keys, np.maximum(np.linalg.norm(residuals, axis=1), TINY), transposed)


def interference(edit: Patch, victim: Patch, tensor: str) -> float | None:
    """How far `edit` moves what `victim` wrote: largest ‖Δk‖ / ‖r‖ over the victim's keys.

    None if the victim kept no keys [N, in] and residuals [N, out] that fit, or the edit is not
    low-rank but for a small correction, which is left out.
    """
    terms = lowrank_terms(edit.operations[tensor])
    found = kept(victim, tensor)
    if found is None or terms is None:
        return None
    return crossed(terms, found)


def crossed(edit: Sequence[LowRank], victim: Kept) -> float:
    """The largest ‖Δk‖ / ‖r‖ over a victim's keys, from the factors as they are."""
    found = moved(*_factors(edit), victim.keys, transposed=victim.transposed)
    return float(np.max(np.linalg.norm(found, axis=1) / victim.sizes))


def _factors(operations: Sequence[LowRank]) -> tuple[Matrix, Matrix]:
    """The sum of the terms as one product, [rows, r] and [r, columns]."""
    return (
        np.concatenate([each.a[:] for each in operations], axis=1, dtype=np.float64),
        np.concatenate([each.b[:] for each in operations], axis=0, dtype=np.float64),
    )
