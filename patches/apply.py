"""Patches and a base give a build on disk: copied in the kernel, touched tensors rewritten."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from . import arithmetic, base_match
from .arithmetic import Term
from .build import (
    RECORD,
    Applied,
    BuildRecord,
    find_tensors,
    is_build,
    read_record,
    require_base_of,
)
from .checkpoint import Checkpoint
from .checkpoint_files import INDEX, OTHER_WEIGHTS, SINGLE, TensorInfo
from .digests import BLOCK, sha256_range
from .errors import BaseMismatch, DigestMismatch, NoSpace
from .manifest import BaseRecord
from .patch import Patch
from .progress import Progress, silent
from .staging import require_free, staged

SPARE = 1.05
"""Free space asked for, as a multiple of the base's size."""


def apply(
    checkpoint: Checkpoint, patches: Sequence[Patch], out: Path, *, progress: Progress = silent
) -> BuildRecord:
    """Write the patched checkpoint to the new folder `out`, whole or not at all.

    Everything is checked before a byte is written: files and base by digest, operations by shape,
    grid and norm, free space. Each result is compared with the one that its patch promises.
    Raises BaseMismatch, ConflictFound, NonFinite, TooBig, NoSpace, DigestMismatch,
    TargetExists, PathRefused, and what opening the patches raises.
    """
    require_free(out)
    record, terms = plan(checkpoint, patches)
    files = carried_files(checkpoint)
    _require_space(files, out)
    result = dict(record.result)
    with staged(out) as folder:
        _copy(files, folder, progress)
        for done, (name, expected) in enumerate(record.result.items()):
            progress("patching", done, len(terms))
            found = _rewrite(checkpoint, folder, name, terms[name])
            if expected and found != expected:
                raise _unexpected(name, expected, found)
            result[name] = found
        record = replace(record, result=result)
        (folder / RECORD).write_bytes(record.to_bytes())
    return record


def plan(
    checkpoint: Checkpoint, patches: Sequence[Patch]
) -> tuple[BuildRecord, Mapping[str, Sequence[Term]]]:
    """Check everything that can be checked without writing.

    Gives the build record, its results still empty where several patches meet on one tensor, and
    the terms of each tensor. Raises as `apply`.
    """
    if is_build(checkpoint.path):
        raise BaseMismatch(
            f"{checkpoint.path} is itself a build",
            why="patches on top of patched weights would be rounded twice",
            hint="apply all patches together to the base",
        )
    bases = [base_match.match_base(patch, checkpoint) for patch in patches]
    terms = arithmetic.sum_of(patches)
    check_norms(checkpoint, terms)
    record = BuildRecord(
        base_id=checkpoint.id,
        base_revision=checkpoint.revision,
        tensors=base_match.touched_records(checkpoint, list(terms)),
        patches=tuple(
            Applied(patch.manifest.name, patch.manifest.version, patch.digest)
            for patch in sorted(patches, key=lambda patch: patch.digest)
        ),
        result=promised(bases, terms),
    )
    return record, terms


def promised(bases: Sequence[BaseRecord], terms: Mapping[str, Sequence[Term]]) -> dict[str, str]:
    """The result digest of each tensor that one patch alone touches; empty for the others."""
    return {
        name: found[0] if len(found) == 1 else ""
        for name in terms
        if (found := [base.result[name] for base in bases if name in base.result])
    }


def revert(
    folder: Path, checkpoint: Checkpoint, out: Path | None = None, *, progress: Progress = silent
) -> BuildRecord:
    """Make the base again from a build: its touched tensors get the base's bytes back.

    Whatever else lies in the build is kept. Without `out` the build itself is exchanged for the
    result in one step. Raises BaseMismatch if `checkpoint` is not the base, CheckpointRefused if
    `folder` is no build or not that of its record, DigestMismatch, TargetExists, PathRefused,
    NoSpace.
    """
    folder = folder.resolve()
    target = folder if out is None else out
    if out is not None:
        require_free(out)
    record = read_record(folder)
    require_base_of(record, checkpoint)
    places = find_tensors(record, folder)
    entries = sorted(folder.iterdir())
    _require_space(entries, target)
    with staged(target, replace=out is None) as partial:
        _copy(entries, partial, progress)
        (partial / RECORD).unlink()
        for name, expected in record.tensors.items():
            found = _restore(checkpoint, name, partial / places[name].file.name, places[name])
            if found != expected.sha256:
                raise _unexpected(name, expected.sha256, found)
    return record


def check_norms(checkpoint: Checkpoint, terms: Mapping[str, Sequence[Term]]) -> None:
    """Raise TooBig if an operation dwarfs the tensor that it changes."""
    for name, found in terms.items():
        weight = arithmetic.norm(checkpoint, name)
        for term in found:
            base_match.relative_norm(name, term.operation.norm(), weight)


def carried_files(checkpoint: Checkpoint) -> list[Path]:
    """The files of a base that belong in a build: its weights, tokenizer and configuration.

    Hidden files are left out, and other copies of the weights, which would stay unpatched, pickles
    among them.
    """
    own = {*checkpoint.files, checkpoint.path / INDEX}
    if checkpoint.path / SINGLE in own:
        own.remove(checkpoint.path / INDEX)
    return [
        file
        for file in sorted(checkpoint.path.iterdir())
        if file in own or (file.is_file() and not _left_out(file))
    ]


def _left_out(file: Path) -> bool:
    return file.name.startswith(".") or any(file.match(pattern) for pattern in OTHER_WEIGHTS)


def _copy(entries: Sequence[Path], target: Path, progress: Progress) -> None:
    """Copy files and folders into `target`, links followed."""
    total = _size(entries)
    done = 0
    for entry in entries:
        progress("copying", done, total)
        if entry.is_dir():
            shutil.copytree(entry, target / entry.name)
        else:
            shutil.copyfile(entry, target / entry.name)
        done += entry.stat().st_size
    progress("copying", total, total)


def _size(entries: Sequence[Path]) -> int:
    return sum(entry.stat().st_size for entry in entries)


def _rewrite(checkpoint: Checkpoint, folder: Path, name: str, terms: Sequence[Term]) -> str:
    """Write one patched tensor into the copy; gives the sha256 of what then stands there."""
    info = checkpoint.tensors[name]
    operations = [term.operation for term in terms]
    with (folder / info.file.name).open("r+b") as file:
        file.seek(info.start)
        for block in arithmetic.stream(checkpoint, name, operations):
            file.write(block.tobytes())
        file.flush()
        return sha256_range(file, info.start, info.stop)


def _restore(checkpoint: Checkpoint, name: str, copy: Path, place: TensorInfo) -> str:
    info = checkpoint.tensors[name]
    with info.file.open("rb") as source, copy.open("r+b") as file:
        source.seek(info.start)
        file.seek(place.start)
        for start in range(info.start, info.stop, BLOCK):
            file.write(source.read(min(BLOCK, info.stop - start)))
        file.flush()
        return sha256_range(file, place.start, place.stop)


def _require_space(entries: Sequence[Path], out: Path) -> None:
    needed = int(SPARE * _size(entries))
    free = shutil.disk_usage(out.absolute().parent).free
    if free < needed:
        raise NoSpace(
            f"{out} needs {needed:,} bytes, {free:,} are free",
            hint="free some space, or write to another disk",
        )


def _unexpected(name: str, expected: str, found: str) -> DigestMismatch:
    return DigestMismatch(
        f"the result for {name} is not the promised one",
        why=f"promised sha256 {expected[:12]}…, computed {found[:12]}…",
        hint="nothing was written; the patch may be damaged, please report it",
    )
