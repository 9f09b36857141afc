"""Patches and a base give a build on disk, whole or not at all."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_files import INDEX, SINGLE
from ..digests import sha256_file
from ..errors import InputError, PathRefused, TargetExists
from ..format.manifest import TensorRecord
from ..format.names import quoted
from ..format.patch import Patch
from ..progress import Progress, silent
from ..promises import unexpected
from .carrying import carried_files, mode_of, require_space, size_of
from .plan import Plan, plan_on
from .record import CONFIG, RECORD, BuildRecord, read_record
from .staging import require_free, staged
from .undo import write_undo
from .verify import unrecorded
from .widening import widened_config
from .writing import write_weights


def apply(
    checkpoint: Checkpoint,
    patches: Sequence[Patch],
    out: Path | str,
    *,
    base: Checkpoint | None = None,
    link: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> BuildRecord:
    """Write the patched checkpoint to the folder `out`, whole or not at all.

    Everything is checked before a byte is written: files and base by digest, operations by shape,
    grid and norm, free space. Each result is compared with the one that its patch promises. If
    `checkpoint` is itself a build, its own patches are counted in; `base`, what it was made from,
    is then needed unless the build alone holds the weights below them. Patches that were made for
    the build as it is are added to it as it is. `link` lets files that no patch touches be hard
    links to those of the checkpoint; `force` exchanges a build that is already at `out` for the
    new one. Raises BaseMismatch, ConflictFound, NonFinite, TooBig, ManifestError, ShapeMismatch,
    Unsupported, NoSpace, DigestMismatch, TargetExists, PathRefused, VerificationFailed, and what
    opening the patches raises.
    """
    out = Path(out)
    _require_apart(out, checkpoint, base, patches)
    require_target(out, force=force)
    found = plan_on(checkpoint, patches, base)
    _require_space(checkpoint, found, out, link=link)
    with staged(out, replace=force) as folder:
        digests = write_weights(
            checkpoint.files,
            folder,
            checkpoint.tensors,
            found.rewrites,
            link=link,
            progress=progress,
        )
        for name, expected in found.promised.items():
            if digests[name] != expected:
                raise unexpected(name, expected, digests[name])
        found.base.require_unchanged(found.rewrites)
        for patch in patches:
            patch.require_unchanged()
        record = _finish(folder, checkpoint, found, digests)
        require_target(out, force=force)
    return record


def _finish(
    folder: Path, checkpoint: Checkpoint, found: Plan, digests: Mapping[str, str]
) -> BuildRecord:
    """Write what lies beside the weights, the record last."""
    originals = _write_carried(folder, checkpoint, found)
    write_undo(folder, found.rewrites, found.undo)
    result = {
        name: TensorRecord(tensor.dtype, tensor.shape, digests[name])
        for name, tensor in found.rewrites.items()
    }
    weights = {file.name for file in checkpoint.files}
    record = replace(
        found.record,
        result={**found.record.result, **result},
        originals={**originals, **found.record.originals},
        files={
            file.name: sha256_file(file)
            for file in sorted(folder.iterdir())
            if file.name not in weights
        },
    )
    (folder / RECORD).write_bytes(record.to_bytes())
    return record


def _write_carried(folder: Path, checkpoint: Checkpoint, found: Plan) -> dict[str, str]:
    """Copy the files beside the weights; gives the original text of those that had to change."""
    shapes = {
        name: tensor.shape
        for name, tensor in found.rewrites.items()
        if tensor.shape != checkpoint.tensors[name].shape
    }
    rewritten = {}
    if shapes:
        rewritten[CONFIG] = widened_config(checkpoint, shapes)
        if checkpoint.path / SINGLE not in checkpoint.files:
            rewritten[INDEX] = _index(checkpoint, found)
    for file in carried_files(checkpoint):
        data = rewritten.get(file.name)
        if data is None:
            shutil.copyfile(file, folder / file.name)
            (folder / file.name).chmod(mode_of(file))
        else:
            (folder / file.name).write_bytes(data)
    return {
        name: (checkpoint.path / name).read_bytes().decode()
        for name, data in rewritten.items()
        if data is not None
    }


def _index(checkpoint: Checkpoint, found: Plan) -> bytes | None:
    """The index with the new size of all tensors together, if it states one."""
    index = json.loads((checkpoint.path / INDEX).read_bytes())
    metadata = index.get("metadata")
    if not isinstance(metadata, dict):
        return None
    old = [checkpoint.tensors[name] for name in found.rewrites]
    new = found.rewrites.values()
    added = {
        "total_size": sum(one.nbytes for one in new) - sum(one.stop - one.start for one in old),
        "total_parameters": sum(prod(one.shape) for one in new)
        - sum(prod(one.shape) for one in old),
    }
    for key, count in added.items():
        if type(metadata.get(key)) is int:
            metadata[key] += count
    return json.dumps(index, indent=2, ensure_ascii=False).encode() + b"\n"


def require_target(out: Path, *, force: bool) -> None:
    """Raise TargetExists or PathRefused unless a build may come to stand at `out`."""
    if not (force and os.path.lexists(out)):
        require_free(out)
        return
    strangers = None if out.is_symlink() else _not_of_the_build(out)
    if strangers is None:
        raise TargetExists(
            f"{out} is there and is not a build",
            why="only a build is exchanged for another",
            hint="name a folder that does not exist yet, or remove this one yourself",
        )
    if strangers:
        raise TargetExists(
            f"{quoted(strangers[0])} in {out} does not belong to the build",
            why="it would be lost with the build that is exchanged",
            hint="move it elsewhere, or name a folder that does not exist yet",
        )


def _not_of_the_build(out: Path) -> list[str] | None:
    """What lies in a build beside what was written there; None if it is no build."""
    try:
        return unrecorded(Checkpoint.open(out), read_record(out), hidden=True)
    except InputError:
        return None


def _require_apart(
    out: Path, checkpoint: Checkpoint, base: Checkpoint | None, patches: Sequence[Patch]
) -> None:
    """Raise PathRefused if the target lies in what is read, or what is read lies in the target.

    It may be the build itself, which is then exchanged for the one on top of it.
    """
    target = out.resolve()
    folders = [one.path.resolve() for one in (checkpoint, base) if one is not None]
    read = [*folders, *(file.resolve().parent for one in patches for file in one.files.values())]
    for folder in folders:
        if folder in target.parents:
            raise PathRefused(
                f"{out} lies in {folder}, which is only read", hint="name a folder elsewhere"
            )
    for folder in read:
        if target in folder.parents or (folder == target and folder != folders[0]):
            raise PathRefused(
                f"{folder} lies in {out}", why="it would be lost", hint="name a folder elsewhere"
            )


def _require_space(checkpoint: Checkpoint, found: Plan, out: Path, *, link: bool) -> None:
    touched = {checkpoint.tensors[name].file for name in found.rewrites}
    weights = [file for file in checkpoint.files if file in touched or not link]
    files = [*weights, *carried_files(checkpoint)]
    added = sum(
        tensor.nbytes - (checkpoint.tensors[name].stop - checkpoint.tensors[name].start)
        for name, tensor in found.rewrites.items()
    )
    require_space(size_of(files, followed=files) + max(0, added), out)
