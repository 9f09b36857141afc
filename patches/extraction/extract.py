"""The difference between two models as a draft: the smallest exact operations on what changed."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

from ..arithmetic import dtypes
from ..checkpoints.checkpoint import Checkpoint
from ..draft import Origin, own_terms, write_draft
from ..errors import (
    CheckpointRefused,
    DigestMismatch,
    InputError,
    LimitExceeded,
    NonFinite,
    RequestRefused,
    ShapeMismatch,
    TooBig,
    Unsupported,
)
from ..format.manifest import MAX_BYTES, MethodRecord
from ..format.names import check_patch_name
from ..format.patch import Draft
from ..operations.base import Array, Operation
from ..progress import Progress, silent
from ..requests import EditRequest
from ..stored_array import Part, block_rows, raw_bytes
from .choose import operations_between
from .configurations import require_same_model
from .edited import Edited, EditedCheckpoint
from .pairing import told
from .spilling import spilled
from .widened import grown, split, with_added, without_padding

METHOD = "extract"
VERSION = "1"
BLOCK_ELEMENTS = 1 << 20

_RECORD_BYTES = 300
"""What a tensor takes in patch.json at least, beside its name, which stands there three times."""


def extract(
    base: Checkpoint,
    edited: Checkpoint,
    folder: Path,
    requests: Sequence[EditRequest],
    origin: Origin,
    tools: Mapping[str, str],
    *,
    progress: Progress = silent,
) -> Draft:
    """Write the patch that makes `edited` of `base`, bit for bit, into the empty `folder`.

    The two may be sharded differently. What is the same is compared and not kept; memory grows with
    the largest tensor that changed, to 11 to 16 times its bytes in bfloat16. Raises
    CheckpointRefused if nothing differs, or more than weights does; ShapeMismatch unless shapes are
    the same or MLPs grew; Unsupported for quantised weights and other types; NonFinite, TooBig,
    LimitExceeded, RequestRefused, DigestMismatch if a checkpoint changes meanwhile, and as
    `write_draft`.
    """
    base.require_unquantised()
    require_same_model(base, edited)
    record = method_record(METHOD, {"edited": edited.id, "revision": edited.revision}, tools)
    return draft_of(
        base, EditedCheckpoint(base, edited), folder, requests, record, origin, progress
    )


def method_record(
    name: str, hyperparameters: Mapping[str, object], tools: Mapping[str, str]
) -> MethodRecord:
    """What made a delta in which nothing is random and everything exact."""
    return MethodRecord(name, VERSION, hyperparameters, None, {}, (), "cpu", tools)


def draft_of(
    base: Checkpoint,
    edited: Edited,
    folder: Path,
    requests: Sequence[EditRequest],
    method: MethodRecord,
    origin: Origin,
    progress: Progress = silent,
) -> Draft:
    """Write the patch that makes an edited model of its base; raises as `extract`."""
    if not requests:
        raise RequestRefused(
            "a patch needs one request at least",
            why="it says what the edit should do, so that it can be judged",
            hint="give the facts that the model was edited for",
        )
    check_patch_name(origin.name)
    lengths = grown(base, edited.shapes, edited.part)
    changed = _changed(base, edited, lengths, progress)
    _require_some(base, edited, changed)
    operations: dict[str, Sequence[Operation]] = {}
    wanted: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix=".parts-", dir=folder) as parts:
        for number, name in enumerate(changed):
            progress("finding operations", number, len(changed))
            target, dtype = _target(edited, name, lengths), base.tensors[name].dtype
            _require_finite(base.array(name), dtype, name, base.id)
            _require_finite(target, dtype, name, edited.label)
            wanted[name] = _digest(target)
            operations[name] = [
                spilled(operation, Path(parts), f"{number}-{index}")
                for index, operation in enumerate(_operations(base, name, target))
            ]
        progress("finding operations", len(changed), len(changed))
        try:
            draft = write_draft(folder, base, own_terms(operations), {}, requests, method, origin)
        except TooBig as error:
            raise TooBig(
                error.message,
                why="an edit never changes a weight that much, so no patch may",
                hint="give the base that the edited model was made from",
            ) from None
    _require_exact(draft, wanted)
    _require_unchanged(base, edited, lengths, wanted)
    return draft


def _changed(
    base: Checkpoint, edited: Edited, lengths: Mapping[str, tuple[int, int]], progress: Progress
) -> list[str]:
    """Names of the tensors that are not what they were, padding apart."""
    changed = []
    names = sorted(edited.shapes)
    for number, name in enumerate(names):
        progress("comparing tensors", number, len(names))
        if name in lengths:
            target = _target(edited, name, lengths)
            if target.shape != base.tensors[name].shape or not _same(base.array(name), target):
                changed.append(name)
        elif edited.differs(name):
            changed.append(name)
    progress("comparing tensors", len(names), len(names))
    return changed


def _target(edited: Edited, name: str, lengths: Mapping[str, tuple[int, int]]) -> Part:
    part = edited.part(name)
    return without_padding(part, *lengths[name]) if name in lengths else part


def _operations(base: Checkpoint, name: str, target: Part) -> list[Operation]:
    info = base.tensors[name]
    same, added = split(target, info.shape)
    found = operations_between(base.array(name), same, info.dtype)
    return with_added(found, added)


def _same(one: Part, other: Part) -> bool:
    return all(
        raw_bytes(one[rows]) == raw_bytes(other[rows])
        for rows in block_rows(one.shape, BLOCK_ELEMENTS)
    )


def _pieces(part: Part) -> Iterator[Array]:
    return (part[rows] for rows in block_rows(part.shape, BLOCK_ELEMENTS))


def _digest(part: Part) -> str:
    digest = hashlib.sha256()
    for block in _pieces(part):
        digest.update(raw_bytes(block))
    return digest.hexdigest()


def _require_finite(part: Part, dtype: str, name: str, label: str) -> None:
    if not all(dtypes.is_finite(block, dtype) for block in _pieces(part)):
        raise NonFinite(
            f"{name} of {label} holds NaN or infinity",
            why="an edit went wrong there, or the file is damaged",
            hint="edit the model again, with smaller steps or in a wider type",
        )


def _require_some(base: Checkpoint, edited: Edited, changed: Sequence[str]) -> None:
    """Raise an InputError unless all that changed can be said in a patch."""
    if not changed:
        raise CheckpointRefused(
            f"{edited.label} and {base.id} are the same",
            why="every tensor has the same bytes",
            hint="see whether the edited model was saved, and in a type wide enough for the edit",
        )
    for name in changed:
        info = base.tensors[name]
        if not prod(info.shape) or not info.shape:
            raise ShapeMismatch(f"{name} differs and is a scalar or empty: it cannot be patched")
        if info.dtype not in dtypes.STORAGE:
            raise Unsupported(
                f"{name} differs and is {info.dtype}, which cannot be patched",
                why=f"deltas are added to {', '.join(sorted(dtypes.STORAGE))} weights",
                hint="compare unquantised checkpoints, in which integers are the same",
            )
    least = sum(3 * len(name) + _RECORD_BYTES for name in changed)
    if least > MAX_BYTES:
        raise LimitExceeded(
            f"{len(changed)} tensors differ, more than one patch can name",
            why=f"patch.json would take {least} bytes at least, and may take {MAX_BYTES}; "
            f"it would name {told(changed)}",
            hint="make patches of parts: put some of the changed tensors into a copy of the base, "
            "extract, and go on from there",
        )


def _require_exact(draft: Draft, wanted: Mapping[str, str]) -> None:
    result = draft.manifest.bases[0].result
    wrong = sorted(name for name in wanted if result.get(name) != wanted[name])
    if wrong or set(result) != set(wanted):
        raise _inexact(told(wrong or sorted(result)))


def _require_unchanged(
    base: Checkpoint,
    edited: Edited,
    lengths: Mapping[str, tuple[int, int]],
    wanted: Mapping[str, str],
) -> None:
    """Compare once more where a file was touched: another's hard link changes a time, too."""
    try:
        now = edited.again()
        if now is None:
            return
        wrong = _torn(base, now, lengths, wanted) if now.shapes == edited.shapes else list(wanted)
    except (InputError, OSError) as error:
        raise _inexact(str(error)) from None
    if wrong:
        raise _inexact(told(wrong))


def _torn(
    base: Checkpoint, now: Edited, lengths: Mapping[str, tuple[int, int]], wanted: Mapping[str, str]
) -> list[str]:
    """The tensors that a patch with results of the digests `wanted` does not give."""
    changed = _changed(base, now, lengths, silent)
    return sorted(
        name
        for name in {*changed, *wanted}
        if wanted.get(name) != _digest(_target(now, name, lengths))
    )


def _inexact(what: str) -> DigestMismatch:
    return DigestMismatch(
        f"the patch would not give the edited model: {what}",
        why="a checkpoint changed while it was read, or there is a mistake in weightpatch",
        hint="let nothing write into the two checkpoints, and try again",
    )
