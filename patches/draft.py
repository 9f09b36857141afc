"""From the operations that a method returns to a draft: results computed, norms taken, files written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import arithmetic, base_match
from .arithmetic import Term
from .checkpoint import Checkpoint
from .manifest import BaseRecord, Manifest, MethodRecord, OperationRecord
from .names import check_patch_name
from .operations.base import Array
from .patch import Draft, write_files
from .requests import EditRequest


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

    The terms are stored, and summed, in the order given. Raises NameRefused, NonFinite,
    CheckpointRefused, Unsupported.
    """
    check_patch_name(origin.name)
    terms = {checkpoint.resolve(name): found for name, found in sorted(terms.items())}
    operations = {name: [term.operation for term in found] for name, found in terms.items()}
    bits = {name: checkpoint.read(name) for name in terms}
    manifest = Manifest(
        name=origin.name,
        version=1,
        bases=(_base_record(checkpoint, terms, bits),),
        operations={
            name: tuple(_record(term, _weight(checkpoint, name, bits[name])) for term in found)
            for name, found in terms.items()
        },
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


def own_terms(operations: Mapping[str, Sequence[arithmetic.Operation]]) -> dict[str, list[Term]]:
    """Operations that a method has just made, as terms."""
    return {
        name: [Term(OWN, index, operation) for index, operation in enumerate(found)]
        for name, found in operations.items()
    }


def _base_record(
    checkpoint: Checkpoint,
    terms: Mapping[str, Sequence[Term]],
    bits: Mapping[str, Array],
) -> BaseRecord:
    return BaseRecord(
        id=checkpoint.id,
        revision=checkpoint.revision,
        tokenizer=checkpoint.tokenizer_digest,
        tensors=base_match.touched_records(checkpoint, list(terms)),
        result={
            name: arithmetic.bits_digest(
                arithmetic.patched(
                    bits[name],
                    checkpoint.tensors[name].dtype,
                    [term.operation for term in found],
                )
            )
            for name, found in terms.items()
        },
    )


def _weight(checkpoint: Checkpoint, name: str, bits: Array) -> float:
    return arithmetic.norm(bits, checkpoint.tensors[name].dtype)


def _record(term: Term, weight: float) -> OperationRecord:
    norm = term.operation.norm()
    return OperationRecord(
        kind=term.operation.kind,
        size=term.operation.size,
        norm=norm,
        relative_norm=norm / weight if weight else 0.0,
        source=term.source or None,
    )
