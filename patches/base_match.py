"""Does this patch fit this base? Each tensor that it touches must have the digest it expects."""

from collections.abc import Iterable, Mapping
from math import isclose, isfinite

from .checkpoints.checkpoint import Checkpoint
from .errors import BaseMismatch, ManifestError, TooBig
from .format.manifest import BaseRecord, TensorRecord
from .format.patch import Patch

MAX_RELATIVE_NORM = 1e4
"""A delta this many times larger than the tensor is a mistake or an attack, never an edit."""
NORM_TOLERANCE = 0.01


def match_base(patch: Patch, checkpoint: Checkpoint) -> BaseRecord:
    """The base record of the patch that the checkpoint satisfies.

    Reads and hashes the touched tensors. Raises BaseMismatch that names the first tensor that is
    another one, Unsupported if the checkpoint is quantised.
    """
    checkpoint.require_unquantised()
    problems: list[str] = []
    for base in patch.manifest.bases:
        problem = _difference(base.tensors, checkpoint)
        if problem is None:
            return base
        problems.append(problem)
    made_for = " or ".join(base.label for base in patch.manifest.bases)
    raise BaseMismatch(
        f"{patch.label} was made for another base",
        why=f"made for {made_for}, given {checkpoint.id}: {problems[0]}",
        hint=f"use the base that `weightpatch show {patch.label}` names, unchanged and at that "
        "revision",
    )


def touched_records(checkpoint: Checkpoint, tensors: Iterable[str]) -> dict[str, TensorRecord]:
    """Type, shape and digest of some tensors of a checkpoint."""
    infos = checkpoint.tensors
    return {
        name: TensorRecord(infos[name].dtype, infos[name].shape, digest)
        for name, digest in checkpoint.digests(tensors).items()
    }


def relative_norm(name: str, norm: float, weight: float) -> float:
    """`norm` of an operation over that of the tensor it changes, 0 for a tensor of zeros.

    Raises TooBig if the operation dwarfs the tensor.
    """
    if weight and norm > MAX_RELATIVE_NORM * weight:
        raise TooBig(
            f"a patch changes {name} by {norm / weight:.0f} times its norm",
            hint="do not use this patch; ask its author how it was made",
        )
    return norm / weight if weight else 0.0


def check_norms(
    patches: Iterable[Patch], tensors: Mapping[str, TensorRecord], norms: Mapping[str, float]
) -> None:
    """Check the size of each operation against the base's `tensors`, whose norms are `norms`.

    The `relative_norm` that a manifest states is that for its first base, so it is compared only
    where the tensor is that one's. Raises TooBig if an operation dwarfs the tensor, ManifestError
    if it is not as large as stated.
    """
    for patch in patches:
        first = patch.manifest.bases[0].tensors
        for name, operations in patch.operations.items():
            records = patch.manifest.operations[name]
            for operation, record in zip(operations, records, strict=True):
                found = relative_norm(name, operation.norm(), norms[name])
                if first[name] == tensors[name] and isfinite(norms[name]):
                    _require_stated(patch, name, record.relative_norm, found)


def _require_stated(patch: Patch, name: str, stated: float, found: float) -> None:
    if not isclose(stated, found, rel_tol=NORM_TOLERANCE):
        raise ManifestError(
            f"{patch.label} does not change {name} by as much as its patch.json says",
            why=f"stated: {stated:.3g} times the tensor's norm, found: {found:.3g} times",
            hint="do not trust this patch; ask its author for another",
        )


def _difference(expected: Mapping[str, TensorRecord], checkpoint: Checkpoint) -> str | None:
    for name, record in expected.items():
        info = checkpoint.tensors.get(name)
        if info is None:
            return f"it has no tensor {name}"
        if info.shape != record.shape:
            return f"{name} is {list(info.shape)}, not {list(record.shape)}"
        if info.dtype != record.dtype:
            return f"{name} is {info.dtype}, not {record.dtype}"
    digests = checkpoint.digests(expected)
    for name, record in expected.items():
        if digests[name] != record.sha256:
            return (
                f"{name} has other bytes: sha256 {digests[name][:12]}…, not {record.sha256[:12]}…"
            )
    return None
