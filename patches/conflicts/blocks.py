"""The measures of many patches with each other: a few large products, not one by one.

Deltas are stacked side by side, U [out, R] and V [in, R] of their thin SVDs for the sum of ranks R.
The blocks of UᵀU and VᵀV then hold what every pair needs: ⟨Δ₁, Δ₂⟩ = ⟨S₁(U₁ᵀU₂)S₂, V₁ᵀV₂⟩,
φ = ‖V₁ᵀV₂‖² / min(r, s), and K·V·S the size of what each moves at each key K [N, in]. All are
products of vectors of length 1, for which float32 is enough. All are of the low-rank terms alone:
the cosine, too, which a correction of 1 % moves by 0.02 at most.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ..format.patch import Patch
from .interference import TINY, Kept
from .measures import MAX_RANK, Delta, chance, excess
from .orientation import KEYS, kept_array
from .spectrum import Matrix, Spectrum

Single = NDArray[np.float32]

MEASURES = (
    *("cosine", "interference", "input_overlap", "output_overlap"),
    *("input_excess", "output_excess"),
)

MAX_COLUMNS, MAX_KEYS = 2048, 4096
MAX_NUMBERS = 1 << 24
"""Ranks, keys, and numbers of float32 (64 MiB) that are stacked at a time."""


@dataclass(frozen=True, eq=False)
class Block:
    """Measures of some patches, `rows`, with others, `columns`, on one tensor.

    `measures` by name, [rows, columns] float64, NaN where there is none. A pair stands in one
    block, once or, if rows and columns are the same, twice.
    """

    rows: Sequence[int]
    columns: Sequence[int]
    measures: dict[str, Matrix]


class _Stack:
    """Deltas side by side, and the keys that were kept beside them."""

    def __init__(self, deltas: Sequence[tuple[int, Delta, Spectrum]]) -> None:
        self.numbers = [number for number, _, _ in deltas]
        spectra = [found for _, _, found in deltas]
        self.ranks = np.array([found.rank for found in spectra])
        # An empty delta takes a column of zeros, so that each has a place.
        wide = [max(1, found.rank) for found in spectra]
        self.starts = np.array([0, *accumulate(wide)][:-1])
        self.u = np.concatenate([_filled(found.u) for found in spectra], axis=1)
        self.v = np.concatenate([_filled(found.v) for found in spectra], axis=1)
        self.norms = np.array([found.norm for found in spectra])
        self.s = np.concatenate(
            [found.s / found.norm if found.rank else np.zeros(1) for found in spectra]
        ).astype(np.float32)
        """Singular values of the deltas scaled to norm 1."""
        self.kept = [
            (place, delta.kept)
            for place, (_, delta, _) in enumerate(deltas)
            if delta.kept is not None
        ]


def blocks(patches: Sequence[Patch], tensor: str) -> Iterator[Block]:
    """All pairs of those patches whose delta of a tensor can be taken apart, block by block.

    Rows and columns are places in `patches`. Raises as `Patch.operations`.
    """
    for alike in _by_shape(patches, tensor).values():
        groups = list(_groups(patches, tensor, alike))
        for place, group in enumerate(groups):
            rows = _stacked(patches, tensor, group)
            yield _block(rows, rows)
            for other in groups[place + 1 :]:
                yield _block(rows, _stacked(patches, tensor, other))


def _by_shape(patches: Sequence[Patch], tensor: str) -> dict[tuple[int, ...], list[int]]:
    """Patches whose delta of a tensor can be taken apart; those of other bases may differ."""
    found: dict[tuple[int, ...], list[int]] = {}
    for number, patch in enumerate(patches):
        operations = patch.operations.get(tensor, ())
        rank = Delta(patch, tensor).rank if operations else None
        if rank is not None and rank <= MAX_RANK:
            found.setdefault(operations[0].shape, []).append(number)
    return found


def _groups(patches: Sequence[Patch], tensor: str, alike: Sequence[int]) -> Iterator[list[int]]:
    """Patches that are stacked at a time."""
    group: list[int] = []
    columns = numbers = keys = 0
    for number in alike:
        delta = Delta(patches[number], tensor)
        rank = delta.rank or 0
        kept = kept_array(patches[number], tensor, KEYS)
        more = 0 if kept is None else len(kept)
        size = rank * sum(delta.operations[0].shape)
        if group and (
            columns + rank > MAX_COLUMNS or numbers + size > MAX_NUMBERS or keys + more > MAX_KEYS
        ):
            yield group
            group, columns, numbers, keys = [], 0, 0, 0
        group.append(number)
        columns, numbers, keys = columns + rank, numbers + size, keys + more
    if group:
        yield group


def _stacked(patches: Sequence[Patch], tensor: str, group: Sequence[int]) -> _Stack:
    deltas = ((number, Delta(patches[number], tensor)) for number in group)
    return _Stack([(number, delta, found) for number, delta in deltas if (found := delta.spectrum)])


def _block(rows: _Stack, columns: _Stack) -> Block:
    read, written = rows.v.T @ columns.v, rows.u.T @ columns.u
    angle = _summed(rows.s[:, None] * written * columns.s * read, rows, columns)
    least = np.maximum(np.minimum(rows.ranks[:, None], columns.ranks), 1)
    phi_in, phi_out = (_summed(found**2, rows, columns) / least for found in (read, written))
    by_chance = [
        chance(rows.ranks[:, None], columns.ranks, size) for size in (len(rows.v), len(rows.u))
    ]
    crossed = np.fmax(_moved(rows, columns), _moved(columns, rows).T)
    return Block(
        rows.numbers,
        columns.numbers,
        {
            "cosine": angle,
            "interference": crossed,
            "input_overlap": phi_in,
            "output_overlap": phi_out,
            "input_excess": excess(phi_in, by_chance[0]),
            "output_excess": excess(phi_out, by_chance[1]),
        },
    )


def _summed(products: Single, rows: _Stack, columns: _Stack) -> Matrix:
    """The sum over each pair's block of ranks."""
    if len(rows.starts) < len(products):
        products = np.add.reduceat(products, rows.starts, axis=0)
    if len(columns.starts) < products.shape[1]:
        products = np.add.reduceat(products, columns.starts, axis=1)
    return products.astype(np.float64)


def _moved(edits: _Stack, victims: _Stack) -> Matrix:
    """The worst effect of each edit on each victim's keys, [edits, victims]; NaN without keys."""
    found = np.full((len(edits.numbers), len(victims.numbers)), np.nan)
    for transposed, reads in ((False, edits.v), (True, edits.u)):
        owned = [(place, each) for place, each in victims.kept if each.transposed == transposed]
        if owned:
            places = [place for place, _ in owned]
            found[:, places] = _effects(edits, reads, [each for _, each in owned])
    return found


def _effects(edits: _Stack, reads: Single, victims: Sequence[Kept]) -> Matrix:
    """The worst effect of each edit on the keys of each victim, [edits, victims]."""
    starts = [0, *accumulate(len(each.keys) for each in victims)][:-1]
    keys = np.concatenate([each.keys for each in victims])
    lengths = np.linalg.norm(keys, axis=1, keepdims=True)
    straight = (keys / np.maximum(lengths, TINY)).astype(np.float32)
    squares = ((straight @ reads) * edits.s) ** 2
    moved = np.sqrt(np.add.reduceat(squares, edits.starts, axis=1)) * edits.norms
    moved *= lengths / np.concatenate([each.sizes for each in victims])[:, None]
    worst: Matrix = np.maximum.reduceat(moved, starts, axis=0).T
    return worst


def _filled(basis: Matrix) -> Single:
    return (basis if basis.shape[1] else np.zeros((len(basis), 1))).astype(np.float32)
