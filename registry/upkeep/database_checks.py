"""Whether the database is sound in itself, and who may write to it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select, update

from ...patches.errors import InputError
from ...patches.format.manifest import Manifest
from ..blobs import BlobStore
from ..database import schema
from ..errors import BlobLost
from ..versions import derived, standing
from .findings import COMPARE, MEND, Examination, Finding, Severity

RESTORE = "restore the last sound copy of the database"


def damaged(about: Examination) -> Iterator[Finding]:
    """What SQLite itself finds wrong with its file; PostgreSQL looks after its own."""
    if not about.store.database.is_sqlite:
        return
    for (line,) in about.connection.exec_driver_sql("PRAGMA quick_check").all():
        if line != "ok":
            yield Finding("database-damaged", str(line), Severity.LOST, RESTORE)
    for row in about.connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        what = f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there"
        yield Finding("row-dangling", what, Severity.TAMPERED, COMPARE)


def counters(about: Examination) -> Iterator[Finding]:
    """Patches whose next version would have a number that is taken."""
    patch, version = schema.patch, schema.version
    query = (
        select(patch.c.namespace, patch.c.name, patch.c.next_version)
        .join_from(patch, version)
        .group_by(patch.c.id)
        .having(func.max(version.c.number) >= patch.c.next_version)
    )
    for row in about.connection.execute(query).all():
        what = f"{row.namespace}/{row.name} would give the number {row.next_version} once more"
        yield Finding("counter-behind", what, Severity.TAMPERED, MEND, mendable=True)


def advance_counters(about: Examination) -> int:
    """Move each counter past the highest number of its patch; gives how many were moved."""
    patch, version = schema.patch, schema.version
    highest = (
        select(func.max(version.c.number))
        .where(version.c.patch_id == patch.c.id)
        .correlate(patch)
        .scalar_subquery()
    )
    behind = patch.c.next_version <= highest
    moved = update(patch).where(behind).values(next_version=highest + 1)
    return int(about.connection.execute(moved).rowcount)


def underived(about: Examination) -> Iterator[Finding]:
    """Versions and evaluations that a search cannot find by what it should find them by."""
    connection = about.connection
    for row in derived.lacking_words(connection):
        yield _underived(row.digest, "a version without words")
    manifests = derived.lacking_provenance().where(standing.kept())
    for row in connection.execute(manifests).all():
        mendable = _is_readable(about.store.blobs, row.digest)
        yield _underived(row.digest, "a version without provenance", mendable=mendable)
    for row in connection.execute(derived.lacking_means()).all():
        yield _underived(row.digest, "an evaluation without averages")


def _underived(digest: str, what: str, *, mendable: bool = True) -> Finding:
    return Finding(
        "derived-missing",
        f"{digest[:12]} is {what}, which a search would need",
        Severity.LOST,
        MEND if mendable else f"pull the version again, which puts patch.json back; then: {MEND}",
        mendable=mendable,
        digest=digest,
    )


def _is_readable(blobs: BlobStore, manifest: str) -> bool:
    """Whether the patch.json is there that provenance is made of."""
    try:
        Manifest.from_bytes(blobs.require(manifest).read_bytes())
    except (BlobLost, InputError, OSError):
        return False
    return True


def permissions(about: Examination) -> Iterator[Finding]:
    """Places that we cannot write to, or that everybody can."""
    file = about.store.database.file
    places = [about.store.blobs.root, *([file, file.parent] if file else [])]
    for place in places:
        yield from _access(place)


def _access(place: Path) -> Iterator[Finding]:
    if not place.exists():
        hint = "it is made again by the next publish; the blobs that were in it are lost"
        yield Finding("folder-missing", f"{place} is not there", Severity.LOST, hint)
    elif not os.access(place, os.R_OK | os.W_OK):
        what = f"{place} cannot be written to by this user"
        yield Finding("read-only", what, Severity.HARMLESS, "chmod u+rw it, if it is yours")
    elif os.name != "nt" and place.stat().st_mode & stat.S_IWOTH:
        what = f"every user of this machine can write to {place}"
        yield Finding("world-writable", what, Severity.HARMLESS, f"chmod o-w {place}")
