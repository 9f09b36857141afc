"""The one module of the benchmark that writes patches: the operations of an edit as a version."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.draft import Origin, own_terms, write_draft
from weightpatch.patches.format.manifest import MethodRecord
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest

from .weights import Tensor

REQUEST = EditRequest("The mother tongue of {} is", "Danielle Darrieux", "English")


@dataclass(frozen=True)
class Factors:
    """A change A·B: A [out, r] and B [r, in], float32 on the grid."""

    a: NDArray[np.float32]
    b: NDArray[np.float32]

    def product(self) -> NDArray[np.float64]:
        """A·B in float64, which is exact."""
        return self.a.astype(np.float64) @ self.b.astype(np.float64)

    def operation(self) -> Operation:
        """As a patch holds it."""
        return LowRank(self.a, self.b)


@dataclass(frozen=True)
class DensePart:
    """A change as a tensor of its own, mapped from a file."""

    delta: Tensor

    def operation(self) -> Operation:
        """As a patch holds it."""
        return Dense(self.delta.bits if self.delta.spec.dtype == "BF16" else self.delta.values())


def grid_factors(a: NDArray[np.float64], b: NDArray[np.float64]) -> Factors:
    """The nearest factors on the grid."""
    snapped = LowRank.snapped(a, b)
    return Factors(snapped.a, snapped.b)


def write_patch(folder: Path, base: Path, changes: Mapping[str, Factors | DensePart]) -> None:
    """Write a patch of `base` into a new folder."""
    folder.mkdir()
    draft = write_draft(
        folder,
        Checkpoint.open(base),
        own_terms({name: [change.operation()] for name, change in changes.items()}),
        {},
        [REQUEST],
        MethodRecord(
            name="benchmark",
            version="1",
            hyperparameters={},
            seed=1,
            sampled={},
            statistics=(),
            device="cpu",
            tools={},
        ),
        Origin("benchmark/edit", author="benchmark", created="2026-01-01T00:00:00Z"),
    )
    (folder / "patch.json").write_bytes(draft.manifest.to_bytes())
