"""Everything that can be checked before a byte is written, and what is then to be written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .. import base_match, summation
from ..checkpoints.checkpoint import Checkpoint
from ..errors import BaseMismatch, ConflictFound
from ..format.manifest import BaseRecord
from ..format.patch import Patch
from ..operations.base import Operation, Widening
from ..operations.replace import Replace
from ..summation import PatchedTensor, widened_shape
from ..terms import sum_of
from .record import Applied, AppliedOperation, BuildRecord, is_build, read_record
from .underlying import Underlying
from .verify import changed, verify
from .widening import final_shapes, require_whole_layers


@dataclass(frozen=True)
class Plan:
    """What is to be written where, and what is known of it.

    `record` lacks the results. `promised` are the sha256 that patches promise for their results,
    where one alone touches a tensor. `base` is what tensors are read from. `undo` undoes what a
    build held before and still holds.
    """

    record: BuildRecord
    rewrites: Mapping[str, PatchedTensor]
    promised: Mapping[str, str]
    base: Checkpoint
    undo: Mapping[str, Replace] = field(default_factory=dict)


def plan(base: Checkpoint, patches: Sequence[Patch], kept: Sequence[Patch] = ()) -> Plan:
    """Check that the patches fit the base and each other, by reading and hashing what they touch.

    `kept` were applied before: they are summed too, where they meet `patches`. Raises BaseMismatch,
    ConflictFound, NonFinite, TooBig, ManifestError, ShapeMismatch, Unsupported, and what opening
    the patches raises.
    """
    bases = [base_match.match_base(patch, base) for patch in patches]
    for patch in patches:
        require_whole_layers(base, patch.operations)
    everything = [*patches, *kept]
    operations = _operations(base, patches, everything)
    shapes = final_shapes(base, operations)
    names = sorted({*operations, *shapes})
    tensors = base_match.touched_records(base, names)
    base_match.check_norms(patches, tensors, summation.norms(base, operations))
    rewrites = {
        name: PatchedTensor(
            base.array(name),
            tensors[name].dtype,
            operations.get(name, []),
            shapes.get(name, tensors[name].shape),
        )
        for name in names
    }
    record = BuildRecord(
        base_id=base.id,
        base_revision=base.revision,
        tensors=tensors,
        result={},
        patches=_applied(everything),
        operations={name: _records(base, name, everything) for name in names},
        files={},
    )
    return Plan(record, rewrites, _promised(bases, patches, rewrites), base)


def plan_on(
    checkpoint: Checkpoint, patches: Sequence[Patch], base: Checkpoint | None = None
) -> Plan:
    """`plan` for a base; for a build, with its own patches counted in.

    Patches that were made for a build as it is are added to it as to any base, and its record is
    kept within the new one. Raises as `plan_on_build`.
    """
    if not is_build(checkpoint.path):
        return plan(checkpoint, patches)
    record = read_record(checkpoint.path)
    if not are_made_for(checkpoint, record, patches):
        return plan_on_build(checkpoint, patches, base)
    _require_as_recorded(checkpoint)
    found = plan(checkpoint, new_patches(record, patches))
    return replace(found, record=replace(found.record, under=record))


def _require_as_recorded(build: Checkpoint) -> None:
    for mismatch in verify(build.path):
        raise changed(build.path, mismatch)


def are_made_for(build: Checkpoint, record: BuildRecord, patches: Sequence[Patch]) -> bool:
    """Whether all of `patches` that are not in a build yet were made for it as it is."""
    new = new_patches(record, patches)
    return bool(new) and all(_is_made_for(build, record, patch) for patch in new)


def new_patches(record: BuildRecord, patches: Sequence[Patch]) -> list[Patch]:
    """Those of `patches` that are not in a build yet."""
    present = {applied.digest for applied in record.patches}
    return [patch for patch in patches if patch.digest not in present]


def _is_made_for(build: Checkpoint, record: BuildRecord, patch: Patch) -> bool:
    """Whether a patch expects weights that only the build has, not what lies under it."""
    if not set(patch.manifest.operations) & set(record.tensors):
        return False
    try:
        expected = base_match.match_base(patch, build).tensors
    except BaseMismatch:
        return False
    return any(
        name in record.tensors and tensor.sha256 != record.tensors[name].sha256
        for name, tensor in expected.items()
    )


def plan_on_build(
    build: Checkpoint, patches: Sequence[Patch], base: Checkpoint | None = None
) -> Plan:
    """The same on top of a build: where patches meet those of the build, all are summed anew.

    `patches` must hold, beside the new ones, those of the build that `needed` names. Raises as
    `plan`, VerificationFailed if the build is not what its record says, and BaseMismatch where
    neither `base` nor the build itself holds the weights that patches were added to.
    """
    _require_as_recorded(build)
    underlying = Underlying(build, base)
    record = underlying.record
    new = new_patches(record, patches)
    if not new:
        raise ConflictFound(
            f"{build.path} holds these patches already", hint="there is nothing to do"
        )
    at_hand = {patch.digest for patch in patches}
    for applied in needed(record, new):
        if applied.digest not in at_hand:
            raise ConflictFound(
                f"{applied.label}, which is in {build.path}, changes the same tensors",
                why="what several patches change is summed anew, so that it is rounded once, "
                "and this one is not at hand",
                hint=f"pull {applied.label} first",
            )
    kept = [patch for patch in patches if patch not in new]
    return _on_top(plan(underlying, new, kept), record, underlying.undo)


def needed(record: BuildRecord, new: Sequence[Patch]) -> list[Applied]:
    """The patches of a build without which `new` ones cannot be applied on top of it."""
    if _is_widened(record) or any(map(_widens, new)):
        return list(record.patches)
    touched = {name for patch in new for name in patch.manifest.operations}
    meeting = {
        operation.patch
        for name, operations in record.operations.items()
        for operation in operations
        if name in touched
    }
    return [applied for applied in record.patches if applied.digest in meeting]


def _operations(
    base: Checkpoint, patches: Sequence[Patch], everything: Sequence[Patch]
) -> dict[str, list[Operation]]:
    """The operations on each tensor that `patches` touch, and on stored copies of it.

    Where a layer is widened, those on all other tensors too: their sizes follow.
    """
    terms = sum_of(everything)
    touched = {name for patch in patches for name in patch.operations}
    widened = any(
        isinstance(term.operation, Widening) for found in terms.values() for term in found
    )
    found = {
        name: [term.operation for term in found]
        for name, found in terms.items()
        if widened or name in touched
    }
    copies = {copy: found[name] for name in found for copy in base.copies(name)}
    return {**found, **copies}


def _on_top(found: Plan, record: BuildRecord, undo: Mapping[str, Replace]) -> Plan:
    """A plan whose record counts in what the build held before."""
    left = {name: tensor for name, tensor in record.result.items() if name not in found.rewrites}
    merged = replace(
        found.record,
        tensors={**record.tensors, **found.record.tensors},
        result=left,
        patches=sorted(
            {*record.patches, *found.record.patches}, key=lambda applied: applied.digest
        ),
        operations={**record.operations, **found.record.operations},
        originals=record.originals,
        under=record.under,
    )
    undo = {name: one for name, one in undo.items() if name not in found.rewrites}
    return replace(found, record=merged, undo=undo)


def _applied(patches: Iterable[Patch]) -> list[Applied]:
    return [
        Applied(patch.manifest.name, patch.manifest.version, patch.digest)
        for patch in sorted(patches, key=lambda patch: patch.digest)
    ]


def _records(base: Checkpoint, name: str, patches: Sequence[Patch]) -> list[AppliedOperation]:
    stored = base.resolve(name)
    return [
        AppliedOperation(patch.digest, record.kind, record.size, record.norm, record.relative_norm)
        for patch in sorted(patches, key=lambda patch: patch.digest)
        for record in patch.manifest.operations.get(stored, ())
    ]


def _promised(
    bases: Sequence[BaseRecord], patches: Sequence[Patch], rewrites: Mapping[str, PatchedTensor]
) -> dict[str, str]:
    """The sha256 of each result that is one patch's alone."""
    promised = {}
    for base, patch in zip(bases, patches, strict=True):
        for name, digest in base.result.items():
            tensor, own = rewrites[name], patch.operations[name]
            if len(tensor.operations) == len(own) and tensor.shape == widened_shape(
                tensor.part.shape, own
            ):
                promised[name] = digest
    return promised


def _widens(patch: Patch) -> bool:
    return any(
        operation.kind == "widen"
        for operations in patch.manifest.operations.values()
        for operation in operations
    )


def _is_widened(record: BuildRecord) -> bool:
    return any(record.result[name].shape != tensor.shape for name, tensor in record.tensors.items())
