"""The delta carried over: the same operations, bit for bit, on another base of the same shapes."""

from dataclasses import replace
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.models import EditableModel
from ..draft import Origin, write_draft
from ..errors import BaseMismatch
from ..format.patch import Draft, Patch
from ..operations.base import Replacement
from ..terms import patch_terms

REBASE = "rebase"
"""Under this name a manifest says, beside what was sampled, how a version was rebased."""


def require_room(patch: Patch, checkpoint: Checkpoint) -> None:
    """Raise BaseMismatch unless the checkpoint has all that the patch touches, in its shapes."""
    for name, record in patch.manifest.bases[0].tensors.items():
        stored = checkpoint.tied.get(name, name)
        info = checkpoint.tensors.get(stored)
        if info is None:
            raise _no_room(patch, checkpoint, f"it has no tensor {name}")
        if info.shape != record.shape:
            why = f"{name} is {list(info.shape)}, not {list(record.shape)}"
            raise _no_room(patch, checkpoint, why)


def require_same_tokens(patch: Patch, model: EditableModel, old: EditableModel | None) -> None:
    """Raise BaseMismatch unless the tokenizers read the requests of a patch as the same tokens.

    If they are different files, the base that the patch was made for is asked, as an outline will
    do; without it, one is not taken for the other.
    """
    known = {base.tokenizer for base in patch.manifest.bases}
    if model.checkpoint.tokenizer_digest in known:
        return
    if old is None:
        why = "it has another tokenizer, and without the old base it is not known how that differs"
        raise _no_room(patch, model.checkpoint, why)
    texts = [text for request in patch.requests for text in (request.text, f" {request.target}")]
    for text in texts:
        if model.tokenizer(text)["input_ids"] != old.tokenizer(text)["input_ids"]:
            raise _no_room(patch, model.checkpoint, f"its tokenizer reads {text!r} as other tokens")


def overwritten(patch: Patch) -> list[str]:
    """Tensors of which the delta replaces entries: these forget what the other base has there."""
    return [
        name
        for name, operations in patch.operations.items()
        if any(isinstance(operation, Replacement) for operation in operations)
    ]


def carry(folder: Path, patch: Patch, checkpoint: Checkpoint, origin: Origin) -> Draft:
    """Write the operations of `patch` as a draft for another base into the empty `folder`.

    Each term keeps the delta file that it was first published in as its source, so that what is
    said against that one is said against this one, and it is summed in the same place. Keys,
    residuals and whatever else is kept beside the operations stays behind: it was measured on the
    old base. Raises BaseMismatch, and as `write_draft`.
    """
    require_room(patch, checkpoint)
    method = patch.manifest.method
    record = {"how": "carry", "from": patch.digest}
    draft = write_draft(
        folder,
        checkpoint,
        patch_terms(patch),
        {},
        patch.requests,
        replace(method, sampled={**method.sampled, REBASE: record}),
        replace(origin, parents=(patch.digest,)),
    )
    patch.require_unchanged()
    return draft


def _no_room(patch: Patch, checkpoint: Checkpoint, why: str) -> BaseMismatch:
    return BaseMismatch(
        f"the delta of {patch.label} cannot be carried over to {checkpoint.id}",
        why=why,
        hint="make it again there: --how again",
    )
