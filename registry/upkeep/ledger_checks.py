"""Whether the ledger is sound, and whether it and the tables tell the same story."""

import json
from collections.abc import Iterator

from sqlalchemy import select

from ..database import schema
from ..ledger import verification
from ..ledger.chain import NOT_OURS
from ..ledger.events import Event
from .findings import COMPARE, MEND, Examination, Finding, Severity

PAGE = 1_000
CAME_IN = (Event.VERSION_PUBLISH, Event.VERSION_ADMIT)


def broken(about: Examination) -> Iterator[Finding]:
    """A broken chain, and triggers that do not guard it any more."""
    report = verification.verify(about.connection)
    if report.flaw and (report.broken is not None or report.rewritten or not report.unguarded):
        place = "the ledger" if report.broken is None else f"entry {report.broken} of the ledger"
        yield _tampered("ledger-broken", f"{place} is not what was written: {report.flaw}")
    if report.unguarded:
        yield Finding(
            "trigger-missing",
            f"the database lost or changed the triggers {', '.join(report.unguarded)}, so anything "
            "could write into the past",
            Severity.TAMPERED,
            f"find out who did it, and from when on; then: {MEND}",
            mendable=True,
        )


def versions(about: Examination) -> Iterator[Finding]:
    """Versions without an entry that says how they came in, and such entries without a version."""
    version, patch, ledger = schema.version, schema.patch, schema.ledger
    came_in = select(ledger.c.seq).where(
        ledger.c.digest == version.c.digest, ledger.c.action.in_(CAME_IN)
    )
    unrecorded = (
        select(patch.c.namespace, patch.c.name, version.c.number, version.c.digest)
        .join_from(version, patch)
        .where(~came_in.exists())
    )
    for row in about.connection.execute(unrecorded).all():
        what = f"{row.namespace}/{row.name}@{row.number} is not in the ledger"
        yield _tampered("version-unrecorded", what, row.digest)
    lost = select(ledger.c.seq, ledger.c.label, ledger.c.digest).where(
        ledger.c.action.in_(CAME_IN),
        ~select(version.c.id).where(version.c.digest == ledger.c.digest).exists(),
    )
    for entry in about.connection.execute(lost).all():
        what = f"{entry.label} came in with entry {entry.seq} of the ledger, and is gone"
        yield _tampered("version-lost", what, entry.digest)


def evaluations(about: Examination) -> Iterator[Finding]:
    """Evaluations without an entry in the ledger, and entries without an evaluation."""
    table = schema.evaluation
    known = set(about.connection.scalars(select(table.c.digest)))
    entered = dict(_attested(about))
    for digest in sorted(known - entered.keys()):
        what = f"the evaluation {digest[:12]} is not in the ledger"
        yield _tampered("evaluation-unrecorded", what, digest)
    for digest in sorted(entered.keys() - known):
        what = f"the evaluation {digest[:12]} of entry {entered[digest]} of the ledger is gone"
        yield _tampered("evaluation-lost", what, digest)


def _attested(about: Examination) -> Iterator[tuple[str, int]]:
    """Digests of the evaluations that the ledger tells of, each with the number of an entry."""
    ledger = schema.ledger
    query = select(ledger.c.seq, ledger.c.body).where(ledger.c.action == Event.VERSION_EVALUATE)
    for row in about.connection.execute(query, execution_options={"yield_per": PAGE}):
        try:
            yield str(json.loads(row.body)["detail"]["attestation"]), row.seq
        except NOT_OURS:
            continue


def _tampered(kind: str, what: str, digest: str | None = None) -> Finding:
    return Finding(kind, what, Severity.TAMPERED, COMPARE, digest=digest)
