"""How far one edit moves what another one wrote, from the keys and residuals that it kept.

A locate-and-edit method gives the key k of a subject a new value: its delta Δ' maps k to the
residual r = v* - v (Meng et al. 2022, arXiv:2202.05262, eq. 2). Another delta Δ on the same tensor
moves that answer by Δk, so ‖Δk‖ / ‖r‖ is the part of the change that it moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..format.patch import Patch
from ..operations.base import Array
from ..operations.lowrank import LowRank
from .spectrum import Matrix, Spectrum, is_lowrank

KEYS, RESIDUALS = "aux.keys", "aux.residuals"

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
    keys = patch.auxiliary.get(f"{tensor}::{KEYS}")
    residuals = patch.auxiliary.get(f"{tensor}::{RESIDUALS}")
    operations = patch.operations[tensor]
    shape = operations[0].shape
    if keys is None or residuals is None or len(shape) != 2:
        return None
    if keys.ndim != 2 or residuals.ndim != 2 or len(keys) != len(residuals) or not len(keys):
        return None
    if sorted(shape) != sorted((keys.shape[1], residuals.shape[1])):
        return None
    own = operations if is_lowrank(operations) else None
    return Kept(
        keys.astype(np.float64),
        np.maximum(np.linalg.norm(residuals.astype(np.float64), axis=1), TINY),
        _is_transposed(shape, own, keys, residuals),
    )


def effects(edit: Spectrum, victim: Kept) -> Matrix:
    """‖Δk‖ / ‖r‖ for each key of the victim [N]; ‖Δk‖ = ‖S·Vᵀk‖, U being orthonormal."""
    reads = edit.u if victim.transposed else edit.v
    moved = np.linalg.norm((victim.keys @ reads) * edit.s, axis=1)
    found: Matrix = moved / victim.sizes
    return found


def interference(edit: Patch, victim: Patch, tensor: str) -> float | None:
    """How far `edit` moves what `victim` wrote: largest ‖Δk‖ / ‖r‖ over the victim's keys.

    None if the victim kept no keys [N, in] and residuals [N, out] that fit, or the edit is not
    low-rank.
    """
    operations = edit.operations[tensor]
    found = kept(victim, tensor)
    if found is None or not is_lowrank(operations):
        return None
    return crossed(operations, found)


def crossed(edit: Sequence[LowRank], victim: Kept) -> float:
    """The largest ‖Δk‖ / ‖r‖ over a victim's keys, from the factors as they are."""
    moved = _moved(edit, victim.keys, transposed=victim.transposed)
    return float(np.max(np.linalg.norm(moved, axis=1) / victim.sizes))


def _is_transposed(
    shape: tuple[int, ...], own: Sequence[LowRank] | None, keys: Array, residuals: Array
) -> bool:
    """Whether the tensor is stored [in, out].

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


def _moved(operations: Sequence[LowRank], keys: Array, *, transposed: bool) -> Matrix:
    """Δk for each key, [N, out]."""
    wide = keys.astype(np.float64)
    moved = np.zeros((len(keys), operations[0].shape[1 if transposed else 0]))
    for each in operations:
        a, b = each.a[:].astype(np.float64), each.b[:].astype(np.float64)
        moved += (wide @ a) @ b if transposed else (wide @ b.T) @ a.T
    return moved
