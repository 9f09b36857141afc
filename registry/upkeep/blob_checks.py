"""Whether database and blobs agree: what is missing, damaged, or lies there for nobody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select

from ...patches.digests import sha256_file
from ..database import schema
from . import files, garbage, living
from .findings import MEND, Examination, Finding, Severity

PAGE = 1_000
PULL_AGAIN = "pull or publish the version again, which puts the file back"


def unsound(about: Examination) -> Iterator[Finding]:
    """Files of living versions that are missing, of another size or, in full, of other bytes."""
    total = about.connection.scalar(select(func.count()).select_from(_wanted().subquery()))
    rows = about.connection.execution_options(yield_per=PAGE).execute(_wanted())
    seen, wrong = "", None
    for done, row in enumerate(rows):
        if row.digest != seen:
            seen, wrong = row.digest, _flaw(about, row)
        if wrong:
            kind, problem = wrong
            yield Finding(
                kind,
                f"{living.label(row)} {problem}",
                Severity.LOST,
                PULL_AGAIN,
                mendable=kind == "blob-damaged",
                digest=row.digest,
            )
        if about.full:
            about.progress("hashing", done + 1, total)


def unneeded(about: Examination) -> Iterator[Finding]:
    """Blobs that no living version needs; a note, since the collector takes them."""
    spare = list(garbage.garbage(about.store, about.connection))
    for why, words in (("orphan", "nothing refers to"), ("deleted", "deleted versions left")):
        sizes = [item.size for item in spare if item.why == why]
        if sizes:
            yield Finding(
                f"blob-{why}",
                f"{_count(sizes, 'blob')} that {words}, {sum(sizes)} bytes in all",
                Severity.HARMLESS,
                "weightpatch gc takes them after a day",
            )


def unfinished(about: Examination) -> Iterator[Finding]:
    """What killed processes left: partial files, and blobs on their way out."""
    blobs = about.store.blobs
    for kind, found, words in (
        ("partial-file", list(files.abandoned(blobs)), "of a process that is gone"),
        ("trash", files.discarded(blobs), "that a collector left in the trash"),
    ):
        if found:
            yield Finding(
                kind, f"{_count(found, 'file')} {words}", Severity.HARMLESS, MEND, mendable=True
            )


def set_aside(blob: Path, trash: Path) -> None:
    """Take a damaged blob out of its place, into the trash."""
    trash.mkdir(parents=True, exist_ok=True)
    blob.replace(trash / f"{blob.name}{files.DAMAGED}")


def _wanted() -> Select[Any]:
    """References of living versions with the blob's recorded size, by digest."""
    query = living.references().subquery("wanted")
    return (
        select(query, schema.blob.c.size)
        .join(schema.blob, schema.blob.c.digest == query.c.digest)
        .where(~query.c.deleted)
        .order_by(query.c.digest)
    )


def _flaw(about: Examination, row: Any) -> tuple[str, str] | None:  # noqa: ANN401 - a row
    path = about.store.blobs.path(row.digest)
    file = files.look(path, row.digest)
    if file is None:
        return "blob-missing", "is missing"
    if file.size != row.size:
        return "blob-damaged", f"has {file.size} bytes, not {row.size}"
    if not about.full:
        return None
    try:
        changed = sha256_file(path) != row.digest
    except OSError as error:
        return "blob-unreadable", f"cannot be read: {error.strerror}"
    return ("blob-damaged", "has other bytes than it had") if changed else None


def _count(items: list[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
