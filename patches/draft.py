"""From operations to a draft: results computed, norms taken, files written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from . import base_match, summation
from .builds.widening import require_whole_layers
from .checkpoints.checkpoint import Checkpoint
from .errors import NonFinite, ShapeMismatch
from .format.manifest import BaseRecord, Manifest, MethodRecord, OperationRecord
from .format.names import check_patch_name
from .format.patch import Draft, write_files
from .operations.base import Array, Operation
from .requests import EditRequest
from .summation import patched_tensor
from .terms import Term, require_compatible


@dataclass(frozen=True)
class Origin:
    """Who publishes what under which name, and why."""

    name: str
    author: str
    created: str
    message: str = ""
    licence: str | None = None
    parents: tuple[str, ...] = ()
    supersedes: str | None = None


OWN = ""
"""The source of a term that is published for the first time."""


def write_draft(
    folder: Path,
    checkpoint: Checkpoint,
    terms: Mapping[str, Sequence[Term]],
    auxiliary: Mapping[str, Array],
    requests: Sequence[EditRequest],
    method: MethodRecord,
    origin: Origin,
) -> Draft:
    """Write a patch that has no number yet into the empty `folder`.

    The terms are stored, and summed, in the order given; each is checked as a reader will check it.
    Raises NameRefused, ShapeMismatch, OffGrid, NonFinite, TooBig, RequestRefused,
    LimitExceeded, ManifestError, CheckpointRefused, ConflictFound, Unsupported.
    """
    check_patch_name(origin.name)
    checkpoint.require_unquantised()
    terms = _resolved(checkpoint, terms)
    operations = {name: [term.operation for term in found] for name, found in terms.items()}
    require_whole_layers(checkpoint, operations)
    norms = summation.norms(checkpoint, operations)
    for name, norm in norms.items():
        if not isfinite(norm):
            raise NonFinite(
                f"{name} of the base holds NaN or infinity", hint="use an undamaged base"
            )
    manifest = Manifest(
        name=origin.name,
        version=1,
        bases=(_base_record(checkpoint, operations),),
        operations={name: _records(name, found, norms[name]) for name, found in terms.items()},
        files=write_files(folder, operations, auxiliary, requests),
        method=method,
        created=origin.created,
        author=origin.author,
        licence=origin.licence,
        message=origin.message,
        parents=origin.parents,
        supersedes=origin.supersedes,
    )
    return Draft(Manifest.from_bytes(manifest.to_bytes()), folder)


def own_terms(operations: Mapping[str, Sequence[Operation]]) -> dict[str, list[Term]]:
    """Operations that a method has just made, as terms."""
    return {
        name: [Term(OWN, index, operation) for index, operation in enumerate(found)]
        for name, found in operations.items()
    }


def _resolved(checkpoint: Checkpoint, terms: Mapping[str, Sequence[Term]]) -> dict[str, list[Term]]:
    """The terms by stored tensor: what is said of a tied name is said of the one it shares."""
    resolved: dict[str, list[Term]] = {}
    for name, found in sorted(terms.items()):
        stored = checkpoint.resolve(name)
        shape = checkpoint.tensors[stored].shape
        if not shape:
            raise ShapeMismatch(f"{stored} is a scalar, which cannot be patched")
        operations = [term.operation for term in found]
        for operation in operations:
            type(operation).read(operation.parts, shape)
        resolved.setdefault(stored, []).extend(found)
    for stored, found in resolved.items():
        require_compatible(stored, [term.operation for term in found])
    return dict(sorted(resolved.items()))


def _base_record(
    checkpoint: Checkpoint, operations: Mapping[str, Sequence[Operation]]
) -> BaseRecord:
    tensors = base_match.touched_records(checkpoint, operations)
    results = summation.result_digests(
        {
            name: patched_tensor(checkpoint.array(name), tensors[name].dtype, found)
            for name, found in operations.items()
        }
    )
    checkpoint.require_unchanged(operations)
    return BaseRecord(
        id=checkpoint.id,
        revision=checkpoint.revision,
        tokenizer=checkpoint.tokenizer_digest,
        tensors=tensors,
        result=results,
    )


def _records(name: str, terms: Sequence[Term], weight: float) -> tuple[OperationRecord, ...]:
    return tuple(_record(name, term, term.operation.norm(), weight) for term in terms)


def _record(name: str, term: Term, norm: float, weight: float) -> OperationRecord:
    return OperationRecord(
        kind=term.operation.kind,
        size=term.operation.size,
        norm=norm,
        relative_norm=base_match.relative_norm(name, norm, weight),
        source=term.source or None,
    )
