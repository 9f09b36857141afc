"""Examine a registry, and mend what can be mended without anybody's help."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...patches.progress import Progress, silent
from ..database import triggers
from ..errors import DatabaseFailed
from ..ledger.events import Event
from ..store import Store
from ..versions import derived
from . import blob_checks, database_checks, files, garbage, ledger_checks, row_checks
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
    found = [one for one in examine(store, full=full, progress=progress) if one.mendable]
    if found:
        kinds = Counter(one.kind for one in found)
        garbage.settle_trash(store)
        with store.database.writing() as connection:
            about = Examination(store, connection, full, progress)
            for kind in kinds:
                _MENDERS[kind](about, [one for one in found if one.kind == kind])
            detail = {"mended": dict(kinds)}
            store.ledger.append(connection, Event.REGISTRY_MEND, garbage.REGISTRY, detail)
    left = examine(store, full=full, progress=progress)
    return Mending(tuple(found), tuple(left))


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


def _sweep(about: Examination, _found: Sequence[Finding]) -> None:
    for partial in files.abandoned(about.store.blobs):
        partial.unlink(missing_ok=True)


def _settled(_about: Examination, _found: Sequence[Finding]) -> None:
    """The trash was emptied already, in a transaction of its own."""


def _set_aside(about: Examination, found: Sequence[Finding]) -> None:
    for digest in {one.digest for one in found if one.digest}:
        blob_checks.set_aside(about.store.blobs.path(digest), files.trash(about.store.blobs))


def _guard(about: Examination, _found: Sequence[Finding]) -> None:
    triggers.install(about.connection)


def _count_on(about: Examination, _found: Sequence[Finding]) -> None:
    database_checks.advance_counters(about)


def _derive(about: Examination, _found: Sequence[Finding]) -> None:
    derived.rebuild(about.connection, about.store.blobs)


_MENDERS: Mapping[str, Callable[[Examination, Sequence[Finding]], None]] = {
    "partial-file": _sweep,
    "trash": _settled,
    "blob-damaged": _set_aside,
    "trigger-missing": _guard,
    "counter-behind": _count_on,
    "derived-missing": _derive,
}
