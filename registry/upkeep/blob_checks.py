"""Whether database and blobs agree: what is missing, damaged, or lies there for nobody."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Select, func, select

from ...patches.digests import sha256_file
from .. import ownership
from ..blobs import BlobStore
from ..database import schema
from ..errors import BlobLost
from . import files, garbage, living
from .findings import MEND, Examination, Finding, Severity

PAGE = 1_000
RESTORE = "compare with a backup of the database from before"
PULL_AGAIN = "pull the version again, which puts the file back"


def of_another(about: Examination) -> Iterator[Finding]:
    """A folder of blobs that belongs to another registry."""
    if other := ownership.stranger(about.connection, about.store.blobs):
        yield Finding(
            "blobs-of-another",
            f"the files in {about.store.blobs.root} belong to the registry {other}",
            Severity.LOST,
            "let WEIGHTPATCH_HOME name the folder that belongs to this database",
        )


def unsound(about: Examination) -> Iterator[Finding]:
    """Files of living versions that are missing, of another size or, in full, of other bytes."""
    total = about.connection.scalar(select(func.count()).select_from(_wanted().subquery()))
    rows = about.connection.execute(_wanted(), execution_options={"yield_per": PAGE})
    seen, wrong = "", None
    for done, row in enumerate(rows):
        if row.digest != seen:
            seen, wrong = row.digest, _flaw(about, row)
        if wrong:
            kind, problem = wrong
            edited = kind == "row-edited"
            yield Finding(
                kind,
                f"{living.label(row)} {problem}",
                Severity.TAMPERED if edited else Severity.LOST,
                RESTORE if edited else PULL_AGAIN,
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
                "take them after a day of grace: weightpatch gc --yes",
            )


def unfinished(about: Examination) -> Iterator[Finding]:
    """What killed processes left: partial files, and blobs on their way out; and what mending did.

    The files of a running upgrade are named, too: only a writer knows that there is none.
    """
    blobs, database = about.store.blobs, about.store.database
    partial = [*files.abandoned(blobs), *files.unfinished_copies(database.file)]
    for kind, found, words in (
        ("partial-file", partial, "of a process that is gone"),
        ("trash", files.discarded(blobs), "that a collector left in the trash"),
    ):
        if found:
            yield Finding(
                kind, f"{_count(found, 'file')} {words}", Severity.HARMLESS, MEND, mendable=True
            )
    kept = files.kept(blobs)
    if kept:
        what = f"{_count(kept, 'damaged file')} that lies aside in {files.damaged(blobs)}"
        hint = "look at what is left of them, and delete them"
        yield Finding("blob-aside", what, Severity.HARMLESS, hint)


def set_aside(blobs: BlobStore, digest: str) -> bool:
    """Take a damaged blob out of its place; false if it is sound again, or gone.

    Within a writer's transaction: who puts it again at this moment looks for it in the next one.
    """
    with suppress(BlobLost):
        blobs.require(digest)
        return False
    files.damaged(blobs).mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        blobs.path(digest).replace(files.damaged(blobs) / digest)
        return True
    return False


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
    if file.size == row.size and not about.full:
        return None
    try:
        changed = sha256_file(path) != row.digest
    except OSError as error:
        return "blob-unreadable", f"cannot be read: {error.strerror}"
    if changed:
        return "blob-damaged", "has other bytes than it had"
    if file.size != row.size:
        return "row-edited", f"is sound, but the database says it has {row.size} bytes"
    return None


def _count(items: list[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
