"""sha256 of bytes and files, and a cache of tensor digests that notices every change of a file."""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

BLOCK = 1 << 20
_RACY_NS = 2_000_000_000

Stamp = list[int | str]


def sha256(data: bytes | memoryview) -> str:
    """sha256 of bytes, in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_range(file: BinaryIO, start: int, stop: int) -> str:
    """sha256 of the bytes [start, stop) of an open file; a short file gives another digest."""
    file.seek(start)
    digest = hashlib.sha256()
    left = stop - start
    while left and (block := file.read(min(BLOCK, left))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """sha256 of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_sha256(value: object) -> bool:
    """Whether `value` is a sha256 in lower-case hex."""
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


class DigestCache:
    """Digests of the tensors of a file, kept for as long as the file is untouched.

    A file is known by path, size, inode, and the times of its last change of content and of status;
    the last cannot be set back by a program. An entry written within two seconds of the file's last
    change is not believed, since a second change could carry the same time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, path: Path, stamp: Stamp) -> dict[str, str]:
        """Digests kept for the file if it is still the one of `stamp`, or none."""
        entry = self._entry(path)
        try:
            kept = json.loads(entry.read_bytes())
            age = entry.stat().st_mtime_ns - _last_change(path)
            same = stamp == file_stamp(path)
        except (OSError, ValueError, RecursionError):
            return {}
        if not same or age < _RACY_NS or not isinstance(kept, dict) or kept.get("stamp") != stamp:
            return {}
        return _digests(kept.get("tensors"))

    def put(self, path: Path, digests: Mapping[str, str], stamp: Stamp) -> None:
        """Keep digests of a file whose `stamp` was taken before it was read.

        A folder that cannot be written to is no error: the digests are then computed again.
        """
        entry = self._entry(path)
        partial = entry.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}")
        with suppress(OSError):
            if stamp != file_stamp(path):
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"stamp": stamp, "tensors": dict(digests)}))
            partial.replace(entry)

    def _entry(self, path: Path) -> Path:
        return self.folder / f"{sha256(os.fsencode(path.resolve()))}.json"


def file_stamp(path: Path) -> Stamp:
    """What changes whenever the file does: path, size, inode, times of content and status."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_ino, *_times(status)]


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_ctime_ns


def _last_change(path: Path) -> int:
    return max(_times(path.stat()))


def _digests(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(map(is_sha256, value.values())):
        return {}
    return value
