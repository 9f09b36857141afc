"""Look at a version in a folder by its manifest alone; the other files are only measured."""

import os
from collections.abc import Sequence
from pathlib import Path

from ....patches.digests import sha256
from ....patches.format.manifest import MAX_BYTES
from ....patches.format.patch import ATTESTATIONS, MANIFEST
from .. import attestations as attested
from ..base import read_manifest
from ..catalogue import Glimpse
from ..location import tag
from ..transfer import read_limited
from .existing import check_names, real_entries


def look(home: Path, name: str, versions: Sequence[int]) -> Glimpse:
    """Read the manifest of the newest of some versions.

    Raises RemoteNotFound, the InputError that says what is wrong with the folder, and OSError.
    """
    folder = home / tag(max(versions))
    check_names(folder)
    data = read_limited(folder / MANIFEST, MAX_BYTES)
    manifest = read_manifest(data, name, max(versions))
    broken = [
        file
        for file, record in sorted(manifest.files.items())
        if not _has_size(folder / file, record.size)
    ]
    return Glimpse(
        manifest,
        sha256(data),
        location=str(folder),
        revision=None,
        versions=tuple(versions),
        attestations=_count(folder / ATTESTATIONS),
        broken=tuple(broken),
    )


def _has_size(file: Path, size: int) -> bool:
    return file.is_file() and not file.is_symlink() and file.stat().st_size == size


def _count(folder: Path) -> int:
    """How many attestations there are; raises PathRefused, ExtraFile, LimitExceeded."""
    return len(attested.read_names(real_entries(folder))) if os.path.lexists(folder) else 0
