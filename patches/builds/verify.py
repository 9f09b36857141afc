"""Whether a build is still what its record says."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.checkpoint import Checkpoint
from ..digests import sha256_file
from ..errors import InputError, VerificationFailed
from ..format.manifest import TensorRecord
from .record import RECORD, BuildRecord, form, read_record


@dataclass(frozen=True)
class Mismatch:
    """A tensor or file of a build that is not what was recorded: another sha256, shape or type."""

    what: str
    expected: str
    found: str


def verify(folder: Path | str) -> list[Mismatch]:
    """Hash the changed tensors of a build again, and the files beside the weights.

    Gives what differs from the record: `found` is "missing" for what is not there, `expected` for
    files that were not there when it was made; hidden ones do not count. Raises
    CheckpointRefused or FormatError if the build cannot be read any more.
    """
    folder = Path(folder)
    record = read_record(folder)
    files = changed_files(folder, record.files)
    try:
        checkpoint = Checkpoint.open(folder)
    except InputError:
        if files:
            return files
        raise
    checkpoint.digests(name for name in record.results if name in checkpoint.tensors)
    tensors = [
        Mismatch(name, expected.sha256, found)
        for name, expected in record.results.items()
        if (found := _found(checkpoint, name, expected)) != expected.sha256
    ]
    added = [Mismatch(name, "missing", "a file") for name in unrecorded(checkpoint, record)]
    return [*tensors, *files, *added]


def changed_files(folder: Path, recorded: Mapping[str, str]) -> list[Mismatch]:
    """Files beside the weights that are not what was `recorded`, by sha256."""
    found = {
        name: sha256_file(folder / name) if (folder / name).is_file() else "missing"
        for name in recorded
    }
    return [
        Mismatch(name, expected, found[name])
        for name, expected in recorded.items()
        if found[name] != expected
    ]


def unrecorded(build: Checkpoint, record: BuildRecord, *, hidden: bool = False) -> list[str]:
    """Names of files and folders that were not there when a build was made."""
    known = {*record.files, RECORD, *(file.name for file in build.files)}
    found = sorted(entry.name for entry in build.path.iterdir() if entry.name not in known)
    return [name for name in found if hidden or not name.startswith(".")]


def compare(folder: Path | str, base: Checkpoint) -> list[Mismatch]:
    """Compare every tensor that no patch touched with the base; gives those that differ.

    `expected` is the sha256 in the base, or its type and shape; "missing" where one of the two
    lacks the tensor. Raises CheckpointRefused or FormatError if the build cannot be read any more.
    """
    record = read_record(folder)
    build = Checkpoint.open(folder)
    untouched = sorted({*build.tensors, *base.tensors} - set(record.tensors))
    for checkpoint in (base, build):
        checkpoint.digests(name for name in untouched if name in checkpoint.tensors)
    return [found for name in untouched if (found := _mismatch(name, base, build))]


def changed(folder: Path, mismatch: Mismatch) -> VerificationFailed:
    """The error for a build that is not what was recorded."""
    return VerificationFailed(
        f"{mismatch.what} in {folder} is not what was recorded",
        why=f"recorded {_short(mismatch.expected)}, found {_short(mismatch.found)}",
        hint="the build was changed after it was made; make it again with `weightpatch apply`",
    )


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) == hashlib.sha256().digest_size * 2 else text


def _mismatch(name: str, base: Checkpoint, build: Checkpoint) -> Mismatch | None:
    forms = [form(c.tensors[name]) if name in c.tensors else "missing" for c in (base, build)]
    found = forms if forms[0] != forms[1] else [base.digest(name), build.digest(name)]
    return None if found[0] == found[1] else Mismatch(name, *found)


def _found(checkpoint: Checkpoint, name: str, expected: TensorRecord) -> str:
    info = checkpoint.tensors.get(name)
    if info is None:
        return "missing"
    return checkpoint.digest(name) if form(info) == form(expected) else form(info)
