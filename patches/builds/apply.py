"""Patches and a base give a build on disk: copied in the kernel, touched tensors rewritten."""

import shutil
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from .. import base_match, summation
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_files import INDEX, OTHER_WEIGHTS, SINGLE, TensorInfo
from ..digests import BLOCK, sha256_range
from ..errors import (
    BaseMismatch,
    DigestMismatch,
    NoSpace,
    PathRefused,
    VerificationFailed,
)
from ..format.manifest import BaseRecord
from ..format.patch import Patch
from ..progress import Progress, silent
from ..summation import Term
from .record import (
    RECORD,
    Applied,
    BuildRecord,
    compare,
    find_tensors,
    is_build,
    read_record,
    require_base_of,
)
from .staging import require_free, staged

SPARE = 1.05
"""Free space asked for, as a multiple of the base's size."""


def apply(
    checkpoint: Checkpoint,
    patches: Sequence[Patch],
    out: Path | str,
    *,
    progress: Progress = silent,
) -> BuildRecord:
    """Write the patched checkpoint to the new folder `out`, whole or not at all.

    Everything is checked before a byte is written: files and base by digest, operations by shape,
    grid and norm, free space. Each result is compared with the one that its patch promises.
    Raises BaseMismatch, ConflictFound, NonFinite, TooBig, ManifestError, NoSpace, DigestMismatch,
    TargetExists, PathRefused, and what opening the patches raises.
    """
    out = Path(out)
    require_free(out)
    record, terms = plan(checkpoint, patches)
    files = carried_files(checkpoint)
    _require_space(files, out, followed=files)
    result = dict(record.result)
    with staged(out) as folder:
        _copy(files, folder, progress, followed=files)
        for done, (name, expected) in enumerate(record.result.items()):
            progress("patching", done, len(terms))
            found = _rewrite(checkpoint, folder, name, terms[name])
            if expected and found != expected:
                raise unexpected(name, expected, found)
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
    terms = summation.sum_of(patches)
    tensors = base_match.touched_records(checkpoint, list(terms))
    base_match.check_norms(
        patches, tensors, {name: summation.norm(checkpoint, name) for name in terms}
    )
    record = BuildRecord(
        base_id=checkpoint.id,
        base_revision=checkpoint.revision,
        tensors=tensors,
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
    folder: Path | str,
    checkpoint: Checkpoint,
    out: Path | str | None = None,
    *,
    progress: Progress = silent,
) -> BuildRecord:
    """Make the base again from a build: its touched tensors get the base's bytes back.

    Whatever else lies in the build is kept, links as links, except that weights behind a link are
    copied. Without `out` the build itself is exchanged for the result in one step. Raises
    BaseMismatch if `checkpoint` is not the base, CheckpointRefused if `folder` is no build or not
    that of its record, VerificationFailed if a tensor that no patch touched is not the base's,
    DigestMismatch, TargetExists, PathRefused, NoSpace.
    """
    folder = Path(folder).resolve()
    target = folder if out is None else Path(out)
    if out is not None:
        require_free(target)
    record = read_record(folder)
    require_base_of(record, checkpoint)
    places = find_tensors(record, folder)
    _require_untouched(folder, checkpoint)
    entries = sorted(folder.iterdir())
    weights = Checkpoint.open(folder).files
    _require_plain(entry for entry in entries if entry not in weights)
    _require_space(entries, target, followed=weights)
    with staged(target, replace=out is None) as partial:
        _copy(entries, partial, progress, followed=weights)
        (partial / RECORD).unlink()
        for name, expected in record.tensors.items():
            found = _restore(checkpoint, name, partial / places[name].file.name, places[name])
            if found != expected.sha256:
                raise unexpected(name, expected.sha256, found)
    return record


def _require_untouched(folder: Path, checkpoint: Checkpoint) -> None:
    """Raise VerificationFailed unless all tensors that no patch touched are the base's."""
    for found in compare(folder, checkpoint):
        raise VerificationFailed(
            f"{found.tensor} in {folder} is not that of the base, though no patch touched it",
            why=f"the build was changed after it was made: {found.expected} in the base, "
            f"{found.found} in the build",
            hint="nothing was written; use the base itself",
        )


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


def _copy(
    entries: Sequence[Path], target: Path, progress: Progress, *, followed: Collection[Path]
) -> None:
    """Copy files and folders into `target`; links stay links, but for those in `followed`."""
    total = _size(entries, followed)
    done = 0
    for entry in entries:
        progress("copying", done, total)
        _copy_entry(entry, target / entry.name, follow=entry in followed)
        done += _size([entry], followed)
    progress("copying", total, total)


def _copy_entry(entry: Path, target: Path, *, follow: bool) -> None:
    if entry.is_symlink() or not entry.is_dir():
        shutil.copyfile(entry, target, follow_symlinks=follow)
        return
    try:
        shutil.copytree(entry, target, symlinks=True)
    except shutil.Error as error:
        source, _, why = error.args[0][0]
        raise PathRefused(f"{source} cannot be copied", why=str(why)) from None


def _require_plain(entries: Iterable[Path]) -> None:
    """Raise PathRefused unless there are only files, folders and links."""
    for entry in entries:
        mode = entry.lstat().st_mode
        if stat.S_ISDIR(mode):
            _require_plain(entry.iterdir())
        elif not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise PathRefused(
                f"{entry} is neither a file nor a folder", hint="move it out of the build"
            )


def _size(entries: Iterable[Path], followed: Collection[Path]) -> int:
    """Bytes in files and all that lies in folders, links counted as links unless followed."""
    return sum(
        _size(entry.iterdir(), followed)
        if entry.is_dir() and not entry.is_symlink()
        else entry.stat(follow_symlinks=entry in followed).st_size
        for entry in entries
    )


def _rewrite(checkpoint: Checkpoint, folder: Path, name: str, terms: Sequence[Term]) -> str:
    """Write one patched tensor into the copy; gives the sha256 of what then stands there."""
    info = checkpoint.tensors[name]
    operations = [term.operation for term in terms]
    with (folder / info.file.name).open("r+b") as file:
        file.seek(info.start)
        for block in summation.stream(checkpoint, name, operations):
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


def _require_space(entries: Sequence[Path], out: Path, *, followed: Collection[Path]) -> None:
    needed = int(SPARE * _size(entries, followed))
    free = shutil.disk_usage(out.absolute().parent).free
    if free < needed:
        raise NoSpace(
            f"{out} needs {needed:,} bytes, {free:,} are free",
            hint="free some space, or write to another disk",
        )


def unexpected(name: str, expected: str, found: str) -> DigestMismatch:
    """The error for a result that is not the promised one."""
    return DigestMismatch(
        f"the result for {name} is not the promised one",
        why=f"promised sha256 {expected[:12]}…, computed {found[:12]}…",
        hint="nothing was written; the patch may be damaged, please report it",
    )
