"""What may be composed: distinct versions of one base, few enough for one manifest."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ..base_match import match_base
from ..checkpoints.checkpoint import Checkpoint
from ..digests import sha256
from ..draft import Origin
from ..errors import ConflictFound, LimitExceeded
from ..format.manifest import (
    FILES,
    BaseRecord,
    FileRecord,
    Manifest,
    MethodRecord,
    OperationRecord,
    TensorRecord,
)
from ..format.patch import MAX_AUXILIARY_BYTES, Patch
from ..requests import EditRequest

MAX_ID = 255
"""What the id of a request may take in a composition; a registry allows no more."""

_DIGEST = "0" * 64
_NUMBER = 1 / 3  # as long as a norm gets when it is written


def require_members(patches: Sequence[Patch], checkpoint: Checkpoint) -> None:
    """Check that some patches can be members of one composition on a base.

    Raises ConflictFound if two are different and have one label, BaseMismatch, LimitExceeded.
    """
    for first, second in pairwise(sorted(patches, key=lambda patch: patch.label)):
        if first.label == second.label and first.digest != second.digest:
            raise ConflictFound(
                f"two different versions are both called {first.label}",
                why=f"sha256:{first.digest[:12]}… and sha256:{second.digest[:12]}…",
                hint="publish one of them under another name",
            )
    for patch in patches:
        match_base(patch, checkpoint)


def requests_of(members: Sequence[Patch]) -> list[EditRequest]:
    """The requests of all members, each with the label of its patch before its id.

    Where that gets too long, as in compositions of compositions, a digest of the id stands for it.
    """
    return [
        replace(request, id=_labelled(patch.label, request.id))
        for patch in members
        for request in patch.requests
    ]


def _labelled(label: str, name: str) -> str:
    whole = f"{label}/{name}"
    return whole if len(whole) <= MAX_ID else f"{label}/{sha256(name.encode())[:32]}"


def require_room(
    members: Sequence[Patch], method: MethodRecord, origin: Origin, *, side_by_side: bool
) -> None:
    """Raise LimitExceeded if one manifest cannot hold a composition, before the work.

    Its parts are those of all members `side_by_side`, or one for each tensor.
    """
    records: dict[str, list[OperationRecord]] = {}
    for patch in members:
        for tensor, found in patch.manifest.operations.items():
            records.setdefault(tensor, []).extend(found)
    if not side_by_side:
        records = {tensor: found[:1] for tensor, found in records.items()}
    tensors = {
        name: record
        for patch in members
        for name, record in patch.manifest.bases[0].tensors.items()
    }
    try:
        _skeleton(records, tensors, method, origin).to_bytes()
    except LimitExceeded as error:
        raise LimitExceeded(
            f"{len(members)} versions with {sum(map(len, records.values()))} parts are too many "
            "for one composition",
            why=error.message,
            hint="compose fewer of them"
            + (", or merge them to one part a tensor with --merge resolve" * side_by_side),
        ) from None
    kept = sum(array.nbytes for patch in members for array in patch.auxiliary.values())
    if kept > MAX_AUXILIARY_BYTES:
        raise LimitExceeded(
            f"{len(members)} versions keep {kept} bytes that are not applied, more than "
            f"{MAX_AUXILIARY_BYTES}",
            hint="compose fewer of them",
        )


def _skeleton(
    records: dict[str, list[OperationRecord]],
    tensors: dict[str, TensorRecord],
    method: MethodRecord,
    origin: Origin,
) -> Manifest:
    """A manifest about as long as that of the composition."""
    return Manifest(
        name=origin.name,
        version=1,
        bases=(BaseRecord("", None, _DIGEST, tensors, dict.fromkeys(records, _DIGEST)),),
        operations={
            name: tuple(
                replace(each, norm=_NUMBER, relative_norm=_NUMBER, source=_DIGEST) for each in found
            )
            for name, found in records.items()
        },
        files={name: FileRecord(_DIGEST, 1 << 30) for name in FILES},
        method=method,
        created=origin.created,
        author=origin.author,
        licence=origin.licence,
        message=origin.message,
        parents=origin.parents,
        supersedes=origin.supersedes,
    )
