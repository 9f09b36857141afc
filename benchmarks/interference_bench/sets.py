"""Many edits together: each victim, and how far all the others move its key at once."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations.lowrank import LowRank

from .asking import Answers, Together
from .measuring import INTERFERENCE, Outcome, outcome

SIZES = (2, 5, 10, 20, 40)
VICTIMS = 120
"""About so many of each size."""


def sets(records: Sequence[Path], seed: int) -> list[Together]:
    """Sets of records drawn by `seed`, of each of SIZES that there are enough for."""
    generator = random.Random(seed)
    return [
        tuple(generator.sample(list(records), size))
        for size in SIZES
        if size <= len(records)
        for _ in range(VICTIMS // size)
    ]


def set_outcomes(chosen: Sequence[Together], answers: Answers) -> Iterator[Outcome]:
    """Each member of each set as the victim of all the others."""
    opened = {folder: Patch.open(folder) for together in chosen for folder in together}
    for together in chosen:
        for victim in together:
            others = [opened[folder] for folder in together if folder != victim]
            scores = {INTERFERENCE: _moved(others, opened[victim])}
            found = outcome(
                f"{len(together)}",
                scores,
                answers.of(victim, (victim,)),
                answers.of(victim, together),
            )
            if found:
                yield found


def _moved(others: Sequence[Patch], victim: Patch) -> float:
    """‖ΣΔk‖ / ‖r‖, the largest over the victim's tensors and keys."""
    found = 0.0
    for tensor in victim.operations:
        keys, residuals = (
            victim.auxiliary[f"{tensor}::aux.{part}"].astype(np.float64)
            for part in ("keys", "residuals")
        )
        moved = np.sum([_of(other, tensor, keys, residuals.shape[1]) for other in others], axis=0)
        sizes = np.linalg.norm(moved, axis=1) / np.linalg.norm(residuals, axis=1)
        found = max(found, float(sizes.max()))
    return found


def _of(edit: Patch, tensor: str, keys: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Δk for each key, [N, size]; of a tensor that is stored [out, in]."""
    moved = np.zeros((len(keys), size))
    for one in edit.operations.get(tensor, ()):
        if isinstance(one, LowRank):
            moved += (keys @ one.b[:].astype(np.float64).T) @ one.a[:].astype(np.float64).T
    return moved
