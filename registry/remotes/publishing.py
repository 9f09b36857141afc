"""Write into a folder that others read and write too: each thing in one step."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...patches.builds.staging import rename_without_replacing, sync_tree
from ...patches.errors import PathRefused, TargetExists
from ...patches.format.patch import ATTESTATIONS, CARD
from ...patches.progress import Progress
from . import attestations as attested
from .base import Bundle
from .existing import real_entries
from .transfer import copy_checked, read_limited


def make_folder(folder: Path) -> None:
    """Make a folder that lasts, if it is not there; raises PathRefused, OSError."""
    if not folder.is_dir():
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError:
            raise PathRefused(
                f"{folder} is not a folder",
                why="versions are put into folders, and what is there stays as it is",
                hint="name a folder, or one that can be made",
            ) from None
        _sync(folder.parent)


def publish(home: Path, target: Path, bundle: Bundle, progress: Progress) -> None:
    """Write the whole version under a hidden name, then give it its own; raises TargetExists."""
    with _incoming(home) as incoming:
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
        try:
            rename_without_replacing(incoming, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise TargetExists(f"{target} is already there") from None
        _sync(home)


def add_attestations(home: Path, target: Path, bundle: Bundle) -> int:
    """Add those that are not there, each in one step, and the card that speaks of them."""
    folder = target / ATTESTATIONS
    known = set(real_entries(folder)) if os.path.lexists(folder) else set()
    new = [digest for digest in bundle.attestations if attested.file_name(digest) not in known]
    if not new:
        return 0
    attested.read_names([*known, *map(attested.file_name, new)])
    make_folder(folder)
    for digest in new:
        data = _read(digest, bundle.attestations[digest])
        _put(home, folder / attested.file_name(digest), data)
    _put(home, target / CARD, bundle.card.encode())
    return len(new)


def _read(digest: str, source: Path) -> bytes:
    return attested.check(digest, read_limited(source, attested.MAX_BYTES, follow=True))


def _put(home: Path, target: Path, data: bytes) -> None:
    """Write one file in one step: under a hidden name, then renamed."""
    with _incoming(home) as incoming:
        with incoming.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        incoming.replace(target)
        _sync(target.parent)


@contextmanager
def _incoming(home: Path) -> Iterator[Path]:
    """A hidden name that nobody else uses, free again afterwards."""
    path = home / f".incoming-{os.getpid()}-{secrets.token_hex(8)}"
    try:
        yield path
    finally:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
