"""What the weights of two patches on one tensor have to do with each other, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..format.patch import Patch
from ..inner_products import cosine
from ..operations.base import Operation
from ..operations.lowrank import LowRank
from .interference import Kept, crossed, interference, kept
from .spectrum import Matrix, Spectrum, lowrank_terms, spectrum

__all__ = ["Measures", "compare", "interference", "measure", "measures"]

MAX_RANK = 512
"""Sums of more ranks than these are not taken apart: they are no small part of their tensor."""


@dataclass(frozen=True)
class Measures:
    """Two deltas on one tensor. None where a measure says nothing of these operations.

    All but `cosine` and `common_entries` are of the low-rank terms, see `lowrank_terms`. `cosine`
    of the angle between them (Ilharco et al. 2023, arXiv:2212.04089). `interference`: the
    worse of the two directions. `input_overlap` and `output_overlap`: φ of what they read and of
    what they write, 0 to 1 (Hu et al. 2021, arXiv:2106.09685, section 7.2); `input_angle` and
    `output_angle` the largest cosine of a principal angle between these spaces. `input_excess` and
    `output_excess` are φ above what random spaces of these ranks have, see `excess`.
    `common_entries`: of the entries that the one with fewer lists, the part that both list.
    """

    cosine: float | None = None
    interference: float | None = None
    input_overlap: float | None = None
    output_overlap: float | None = None
    input_angle: float | None = None
    output_angle: float | None = None
    input_excess: float | None = None
    output_excess: float | None = None
    common_entries: float | None = None

    def numbers(self) -> dict[str, float]:
        """Those that there are, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, eq=False)
class Delta:
    """What one patch does to one tensor; what is costly is found once."""

    patch: Patch
    tensor: str

    @property
    def operations(self) -> Sequence[Operation]:
        """The operations; raises as `Patch.operations`."""
        return self.patch.operations[self.tensor]

    @cached_property
    def lowrank(self) -> Sequence[LowRank] | None:
        """The low-rank terms, without a small correction of them; None if there is more."""
        return lowrank_terms(self.operations)

    @property
    def rank(self) -> int | None:
        """The sum of the ranks of the low-rank terms; None if there is more."""
        return None if self.lowrank is None else sum(each.size for each in self.lowrank)

    @cached_property
    def spectrum(self) -> Spectrum | None:
        """The thin SVD of the low-rank terms; None if there is more, or a rank over MAX_RANK."""
        if self.lowrank is None or self.rank is None or self.rank > MAX_RANK:
            return None
        return spectrum(self.lowrank)

    @cached_property
    def kept(self) -> Kept | None:
        """The keys that the patch kept beside its delta."""
        return kept(self.patch, self.tensor)


def measures(first: Patch, second: Patch) -> dict[str, Measures]:
    """The measures of a pair for each tensor that both change; raises as `Patch.operations`."""
    common = sorted(set(first.operations) & set(second.operations))
    return {tensor: measure(first, second, tensor) for tensor in common}


def measure(first: Patch, second: Patch, tensor: str) -> Measures:
    """The measures of a pair on one tensor that both change; raises as `Patch.operations`."""
    return compare(Delta(first, tensor), Delta(second, tensor))


def compare(first: Delta, second: Delta) -> Measures:
    """The measures of two deltas on one tensor; raises as `Patch.operations`."""
    found = Measures(
        cosine(first.operations, second.operations),
        _worst((_moves(first, second), _moves(second, first))),
        common_entries=common_entries(first.operations, second.operations),
    )
    one, other = first.spectrum, second.spectrum
    if one is None or other is None:
        return found
    inputs, outputs = principal_cosines(one.v, other.v), principal_cosines(one.u, other.u)
    read, written = overlap(inputs), overlap(outputs)
    return replace(
        found,
        input_overlap=read,
        output_overlap=written,
        input_angle=float(max(inputs, default=0.0)),
        output_angle=float(max(outputs, default=0.0)),
        input_excess=float(excess(read, chance(one.rank, other.rank, len(one.v)))),
        output_excess=float(excess(written, chance(one.rank, other.rank, len(one.u)))),
    )


def principal_cosines(first: Matrix, second: Matrix) -> Matrix:
    """Cosines of the principal angles between two spaces, decreasing: the singular values of VᵀW.

    `first` [n, r] and `second` [n, s] are orthonormal bases; [min(r, s)] (Björck and Golub 1973).
    """
    if not first.shape[1] or not second.shape[1]:
        return np.zeros(0)
    found = np.linalg.svd(first.T @ second, compute_uv=False)
    return np.asarray(np.minimum(found, 1.0), np.float64)


def overlap(cosines: Matrix) -> float:
    """φ = ‖VᵀW‖² / min(r, s), the mean of the squared cosines; 0 if one of the spaces is empty."""
    return float(np.mean(cosines**2)) if len(cosines) else 0.0


def chance(rank: int | Matrix, other: int | Matrix, size: int) -> Matrix:
    """The mean φ of random spaces of these ranks in `size` dimensions, max(r, s) / n."""
    return np.asarray(np.maximum(rank, other) / size, np.float64)


def excess(phi: float | Matrix, by_chance: Matrix) -> Matrix:
    """φ above chance, (φ - c) / (1 - c), 0 at the least: a space that is large meets everything."""
    found: Matrix = np.clip((phi - by_chance) / np.maximum(1 - by_chance, 1e-12), 0.0, 1.0)
    return np.where(by_chance < 1, found, 0.0)


def common_entries(first: Sequence[Operation], second: Sequence[Operation]) -> float | None:
    """Entries that both list, over the fewer that one of them lists; None if one lists none."""
    ones, others = _listed(first), _listed(second)
    if ones is None or others is None:
        return None
    return len(np.intersect1d(ones, others, assume_unique=True)) / min(len(ones), len(others))


def _listed(operations: Sequence[Operation]) -> Matrix | None:
    listed = [each.entries.indices[:] for each in operations if each.entries is not None]
    return np.unique(np.concatenate(listed)) if len(listed) == len(operations) else None


def _moves(edit: Delta, victim: Delta) -> float | None:
    if victim.kept is None or edit.lowrank is None:
        return None
    return crossed(edit.lowrank, victim.kept)


def _worst(found: Sequence[float | None]) -> float | None:
    return max((value for value in found if value is not None), default=None)
