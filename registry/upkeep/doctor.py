"""Examine a registry, and mend what can be mended without anybody's help."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...patches.progress import Progress, silent
from .. import ownership
from ..database import triggers
from ..errors import DatabaseFailed
from ..ledger.entries import REGISTRY
from ..ledger.events import Event
from ..store import Store
from ..versions import derived
from . import base_checks, blob_checks, database_checks, files, garbage, ledger_checks, row_checks
from .findings import Check, Examination, Finding, Severity

CHECKS: tuple[Check, ...] = (
    database_checks.damaged,
    database_checks.permissions,
    ledger_checks.broken,
    ledger_checks.versions,
    ledger_checks.evaluations,
    database_checks.counters,
    database_checks.underived,
    row_checks.versions,
    row_checks.evaluations,
    base_checks.tensors,
    blob_checks.of_another,
    blob_checks.unsound,
    blob_checks.unneeded,
    blob_checks.unfinished,
)


@dataclass(frozen=True)
class Mending:
    """What was mended, and what an examination afterwards still finds."""

    mended: tuple[Finding, ...]
    left: tuple[Finding, ...]


def examine(store: Store, *, full: bool = False, progress: Progress = silent) -> list[Finding]:
    """All that is not as it should be, and notes on what is left over."""
    return [finding for check in CHECKS for finding in _run(check, store, full, progress)]


def mend(store: Store, *, full: bool = False, progress: Progress = silent) -> Mending:
    """Mend what an examination finds and can be mended, with an entry in the ledger."""
    before = examine(store, full=full, progress=progress)
    found = [one for one in before if one.mendable]
    if not found:
        return Mending((), tuple(before))
    with store.database.reading() as connection:
        ownership.claim(connection, store.blobs)
    garbage.settle_trash(store)
    with store.database.writing() as connection:
        about = Examination(store, connection, full, progress)
        done = {
            kind: mender(about, [one for one in found if one.kind == kind])
            for kind, mender in _MENDERS.items()
            if any(one.kind == kind for one in found)
        }
        detail = {"mended": {kind: count for kind, count in done.items() if count}}
        if detail["mended"]:
            store.ledger.append(connection, Event.REGISTRY_MEND, REGISTRY, detail)
    left = examine(store, full=full, progress=progress)
    return Mending(tuple(one for one in found if one not in left), tuple(left))


def _run(check: Check, store: Store, full: bool, progress: Progress) -> list[Finding]:
    """What one check finds; a database that fails under it is a finding, too."""
    found: list[Finding] = []
    try:
        with store.database.reading() as connection:
            found.extend(check(Examination(store, connection, full, progress)))
    except DatabaseFailed as error:
        found.append(
            Finding("database-damaged", error.message, Severity.LOST, database_checks.RESTORE)
        )
    return found


def _sweep(about: Examination, _found: Sequence[Finding]) -> int:
    """Unlink unfinished files; nobody copies a database while another one has the turn to write."""
    store = about.store
    partial = [*files.abandoned(store.blobs), *files.unfinished_copies(store.database.file)]
    for path in partial:
        path.unlink(missing_ok=True)
    return len(partial)


def _settled(_about: Examination, _found: Sequence[Finding]) -> int:
    """The trash was emptied already, in a transaction and with an entry of its own."""
    return 0


def _set_aside(about: Examination, found: Sequence[Finding]) -> int:
    digests = {one.digest for one in found if one.digest}
    return sum(blob_checks.set_aside(about.store.blobs, digest) for digest in digests)


def _guard(about: Examination, _found: Sequence[Finding]) -> int:
    missing = triggers.missing(about.connection)
    triggers.install(about.connection)
    return len(missing)


def _count_on(about: Examination, _found: Sequence[Finding]) -> int:
    return database_checks.advance_counters(about)


def _derive(about: Examination, _found: Sequence[Finding]) -> int:
    return derived.rebuild(about.connection, about.store.blobs)


_MENDERS: Mapping[str, Callable[[Examination, Sequence[Finding]], int]] = {
    "partial-file": _sweep,
    "trash": _settled,
    "blob-damaged": _set_aside,
    "trigger-missing": _guard,
    "counter-behind": _count_on,
    "derived-missing": _derive,
}
"""What mends each kind of finding within a writer's transaction; gives how much it mended."""
