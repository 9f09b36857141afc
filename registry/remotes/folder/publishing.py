"""Write into a folder that others read and write too: each thing in one step."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ....patches.builds.staging import rename_without_replacing, sync, sync_tree
from ....patches.digests import sha256_file
from ....patches.errors import DigestMismatch, PathRefused, TargetExists
from ....patches.format.patch import ATTESTATIONS, CARD
from ....patches.progress import Progress
from .. import attestations as attested
from ..base import Bundle
from ..transfer import copy_checked, read_limited
from .existing import real_entries


def make_folder(folder: Path, mode: int | None = None) -> None:
    """Make a folder that lasts, if it is not there, open to whom `mode` says.

    Raises PathRefused, OSError.
    """
    if not folder.is_dir():
        try:
            folder.mkdir(exist_ok=True)
            if mode is not None:
                folder.chmod(mode & 0o7777)
        except FileExistsError:
            raise PathRefused(
                f"{folder} is not a folder",
                why="versions are put into folders, and what is there stays as it is",
                hint="name a folder, or one that can be made",
            ) from None
        sync(folder.parent)


def publish(home: Path, target: Path, bundle: Bundle, progress: Progress) -> None:
    """Write the whole version under a hidden name, then give it its own.

    Raises TargetExists, and what `staged` does.
    """
    with staged(home, bundle, progress) as incoming:
        settle(incoming, target)


@contextmanager
def staged(home: Path, bundle: Bundle, progress: Progress) -> Iterator[Path]:
    """The whole version under a hidden name in `home`; what keeps that name is gone afterwards.

    Raises SizeMismatch or DigestMismatch for a file of ours that was changed, PathRefused,
    LimitExceeded, OSError.
    """
    with incoming_name(home) as incoming:
        incoming.mkdir()
        for file, record in bundle.records().items():
            source = bundle.patch.files[file]
            phase = f"push {file}"
            copy_checked(
                source, incoming / file, record, follow=True, progress=progress, phase=phase
            )
        (incoming / CARD).write_text(bundle.card, encoding="utf-8")
        if bundle.attestations:
            (incoming / ATTESTATIONS).mkdir()
        for digest, source in bundle.attestations.items():
            (incoming / ATTESTATIONS / attested.file_name(digest)).write_bytes(
                _read(digest, source)
            )
        sync_tree(incoming)
        yield incoming


def settle(source: Path, target: Path) -> None:
    """Give a folder its name for good, in one step; raises TargetExists, OSError."""
    try:
        rename_without_replacing(source, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise TargetExists(f"{target} is already there") from None
    sync(target.parent)


def add_attestations(home: Path, target: Path, bundle: Bundle) -> int:
    """Add those that are not there, and if there are any the card that speaks of them.

    Each file appears in one step. Gives how many were added. Raises ExtraFile for what is no
    attestation among those there, LimitExceeded, DigestMismatch, PathRefused, OSError.
    """
    new = _new_attestations(target, bundle)
    if not new:
        return 0
    folder = target / ATTESTATIONS
    make_folder(folder)
    for digest in new:
        data = _read(digest, bundle.attestations[digest])
        _put(home, folder / attested.file_name(digest), data)
    _put(home, target / CARD, bundle.card.encode())
    return len(new)


def would_write(bundle: Bundle) -> Mapping[str, int]:
    """The files of a version with their bytes, as `publish` would write them; raises as it does."""
    sizes = {file: record.size for file, record in bundle.records().items()}
    for file, record in bundle.records().items():
        if sha256_file(bundle.patch.files[file]) != record.sha256:
            raise DigestMismatch(
                f"{file} of {bundle.label} was changed since it was stored",
                why="so it cannot be pushed",
                hint="pull or make the version again",
            )
    return {**sizes, CARD: _card_size(bundle), **_attestation_sizes(bundle, bundle.attestations)}


def would_add(target: Path, bundle: Bundle) -> Mapping[str, int]:
    """The files that `add_attestations` would write, with their bytes; raises as it does."""
    new = _new_attestations(target, bundle)
    return {CARD: _card_size(bundle), **_attestation_sizes(bundle, new)} if new else {}


def _new_attestations(target: Path, bundle: Bundle) -> list[str]:
    """Digests of those that are not there; raises LimitExceeded if there would be too many."""
    folder = target / ATTESTATIONS
    known = set(real_entries(folder)) if os.path.lexists(folder) else set()
    new = [digest for digest in bundle.attestations if attested.file_name(digest) not in known]
    if new:
        attested.read_names([*known, *map(attested.file_name, new)])
    return new


def _card_size(bundle: Bundle) -> int:
    return len(bundle.card.encode())


def _attestation_sizes(bundle: Bundle, digests: Iterable[str]) -> Mapping[str, int]:
    return {
        f"{ATTESTATIONS}/{attested.file_name(digest)}": len(
            _read(digest, bundle.attestations[digest])
        )
        for digest in digests
    }


def _read(digest: str, source: Path) -> bytes:
    return attested.check(digest, read_limited(source, attested.MAX_BYTES, follow=True))


def _put(home: Path, target: Path, data: bytes) -> None:
    """Write one file in one step: under a hidden name, then renamed."""
    with incoming_name(home) as incoming:
        with incoming.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        incoming.replace(target)
        sync(target.parent)


@contextmanager
def incoming_name(home: Path) -> Iterator[Path]:
    """A hidden name that nobody else uses, free again afterwards."""
    path = home / f".incoming-{os.getpid()}-{secrets.token_hex(8)}"
    try:
        yield path
    finally:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
