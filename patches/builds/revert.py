"""A build becomes its base again, to the bit."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..digests import sha256_file
from ..errors import VerificationFailed
from ..progress import Progress, silent
from ..promises import unexpected
from ..summation import PatchedTensor
from .carrying import copy_entry, require_plain, require_space, size_of
from .record import RECORD, BuildRecord
from .staging import require_free, staged
from .underlying import Underlying
from .undo import UNDO
from .verify import compare
from .writing import write_weights


def revert(
    folder: Path | str,
    base: Checkpoint | None = None,
    out: Path | str | None = None,
    *,
    progress: Progress = silent,
) -> BuildRecord:
    """Make the base again from a build: its changed tensors get the base's bytes back.

    They come from `base`, or from the build alone where its operations allow it to the bit: those
    that list the entries they change, and widened layers. Whatever else lies in the build is kept,
    links as links, except that weights behind a link are copied. Without `out` the build itself is
    exchanged for the result in one step. Raises BaseMismatch if `base` is another one or is needed,
    CheckpointRefused if `folder` is no build or not that of its record, VerificationFailed if a
    tensor that no patch touched is not the base's, DigestMismatch, TargetExists, PathRefused,
    NoSpace.
    """
    folder = Path(folder).resolve()
    target = folder if out is None else Path(out)
    if out is not None:
        require_free(target)
    build = Checkpoint.open(folder)
    underlying = Underlying(build, base)
    if base is not None:
        _require_untouched(folder, base)
    rewrites = _rewrites(underlying)
    beside = _beside(build, underlying.record)
    require_space(size_of([*build.files, *beside], followed=build.files), target)
    # In the build's own place the old folder goes away, and with it the other name of each link.
    link = out is None and not any(file.is_symlink() for file in build.files)
    with staged(target, replace=out is None) as partial:
        digests = write_weights(
            build.files, partial, build.tensors, rewrites, link=link, progress=progress
        )
        for name, expected in underlying.record.tensors.items():
            if digests[name] != expected.sha256:
                raise unexpected(name, expected.sha256, digests[name])
        for entry in beside:
            copy_entry(entry, partial / entry.name)
        for name, text in underlying.record.originals.items():
            with (partial / name).open("x", encoding="utf-8", newline="") as file:
                file.write(text)
        if underlying.record.under is not None:
            _keep_record(underlying.record.under, partial, base)
        Checkpoint.open(partial)
    return underlying.record


def _keep_record(under: BuildRecord, folder: Path, base: Checkpoint | None) -> None:
    """The base was a build itself: leave its record, and what undoes it if the base has that."""
    undo = None if base is None else base.path / UNDO
    if undo is not None and undo.is_file() and sha256_file(undo) == under.files.get(UNDO):
        shutil.copyfile(undo, folder / UNDO)
    else:
        under = replace(
            under, files={name: digest for name, digest in under.files.items() if name != UNDO}
        )
    (folder / RECORD).write_bytes(under.to_bytes())


def _rewrites(underlying: Underlying) -> dict[str, PatchedTensor]:
    return {
        name: PatchedTensor(underlying.array(name), tensor.dtype, [], tensor.shape)
        for name, tensor in underlying.record.tensors.items()
    }


def _beside(build: Checkpoint, record: BuildRecord) -> Sequence[Path]:
    """What lies in a build and stays as it is, neither weights nor records; raises PathRefused."""
    own = {*build.files, *(build.path / name for name in (RECORD, UNDO, *record.originals))}
    entries = [entry for entry in sorted(build.path.iterdir()) if entry not in own]
    require_plain(entries)
    return entries


def _require_untouched(folder: Path, base: Checkpoint) -> None:
    """Raise VerificationFailed unless all tensors that no patch touched are the base's."""
    for found in compare(folder, base):
        raise VerificationFailed(
            f"{found.what} in {folder} is not that of the base, though no patch touched it",
            why=f"the build was changed after it was made: {found.expected} in the base, "
            f"{found.found} in the build",
            hint="nothing was written; use the base itself",
        )
