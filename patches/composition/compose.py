"""Several versions as one: their terms side by side, in the order in which they are summed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..base_match import match_base
from ..checkpoints.checkpoint import Checkpoint
from ..draft import Origin, write_draft
from ..errors import ConflictFound, ShapeMismatch
from ..format.manifest import MethodRecord
from ..format.patch import Draft, Patch
from ..operations.base import Array
from ..requests import EditRequest
from ..terms import sum_of

VERSION = "1"


def compose(
    checkpoint: Checkpoint,
    patches: Sequence[Patch],
    folder: Path,
    origin: Origin,
    tools: Mapping[str, str],
) -> Draft:
    """Write the composition of `patches` into the empty `folder`.

    Applying it gives bit for bit what applying its members together gives, also when it is composed
    again. Raises BaseMismatch, ConflictFound, and as `write_draft`.
    """
    if len(patches) < 2:
        raise ConflictFound(
            "a composition needs two versions at least", hint="name two or more versions"
        )
    members = sorted(patches, key=lambda patch: patch.digest)
    _require_distinct(members)
    for patch in members:
        match_base(patch, checkpoint)
    draft = write_draft(
        folder,
        checkpoint,
        sum_of(members),
        _auxiliary(members),
        [request for patch in members for request in _requests(patch)],
        MethodRecord(
            name="compose",
            version=VERSION,
            hyperparameters={"members": [patch.label for patch in members]},
            seed=None,
            sampled={},
            statistics=(),
            device="cpu",
            tools=tools,
        ),
        replace(origin, parents=tuple(patch.digest for patch in members)),
    )
    for patch in members:
        patch.require_unchanged()
    return draft


def _require_distinct(members: Sequence[Patch]) -> None:
    for first, second in pairwise(sorted(members, key=lambda patch: patch.label)):
        if first.label == second.label and first.digest != second.digest:
            raise ConflictFound(
                f"two different versions are both called {first.label}",
                why=f"sha256:{first.digest[:12]}… and sha256:{second.digest[:12]}…",
                hint="publish one of them under another name",
            )


def _requests(patch: Patch) -> list[EditRequest]:
    return [replace(request, id=f"{patch.label}/{request.id}") for request in patch.requests]


def _auxiliary(members: Sequence[Patch]) -> dict[str, Array]:
    """Auxiliary arrays of all members, those of one name stacked [N, …] in the members' order."""
    found: dict[str, list[Array]] = {}
    for patch in members:
        for key, array in patch.auxiliary.items():
            found.setdefault(key, []).append(array)
    return {key: _stacked(key, arrays) for key, arrays in found.items()}


def _stacked(key: str, arrays: Sequence[Array]) -> Array:
    if len({(array.shape[1:], array.dtype) for array in arrays}) != 1:
        raise ShapeMismatch(f"the members keep {key} in different shapes or types")
    return np.concatenate(arrays)
