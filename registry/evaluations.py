"""Scores of versions: one row an evaluation, one a measure and case."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, update

from ..patches.evaluation.base import Evaluation, Mean, Score
from ..patches.format.manifest import FileRecord
from . import bounds, ownership
from .attestations import Attestation
from .blobs import BlobStore
from .database import schema
from .ledger.entries import writable
from .ledger.events import Event
from .store import Store
from .versions import derived, reading, standing, storing

HERE = "here"
"""The origin of an evaluation that was measured by this registry."""


@dataclass(frozen=True)
class EvaluationInfo:
    """One evaluation of a version.

    `digest` is that of the attestation, the file at `path`; `base` the fingerprint of the
    checkpoint that was scored; `created` the time at which it came into this registry;
    `origin` is "here" if it was measured here, else the place that it was pulled from, whose word
    is all that stands for it.
    """

    digest: str
    path: Path
    suite: str
    suite_digest: str
    base: str
    created: str
    environment: Mapping[str, str]
    means: Mapping[str, Mean]
    origin: str = HERE

    def to_json(self) -> dict[str, Any]:
        """The evaluation as plain JSON values."""
        means = {name: mean._asdict() for name, mean in self.means.items()}
        return {**vars(self), "path": str(self.path), "means": means}


def record(
    store: Store, version_digest: str, base: str, evaluation: Evaluation, *, origin: str = HERE
) -> str:
    """Store an evaluation unless it is there, and give its attestation's digest.

    Raises NotFound, and Deleted for a version that may not be used.
    """
    data = Attestation(version_digest, base, evaluation).to_bytes()
    attestation = Attestation.from_bytes(data)
    bounds.check_evaluation(attestation.evaluation)
    file = store.blobs.put_bytes(data)
    with store.database.writing() as connection:
        ownership.claim(connection, store.blobs)
        info = reading.require(connection, version_digest)
        if info.standing and info.standing.deleted:
            raise standing.deleted(info.label, info.standing)
        known = _origin(connection, file.sha256)
        if known == HERE or (known and origin != HERE):
            return file.sha256
        if store.blobs.missing([file]):
            store.blobs.put_bytes(data)  # a collector took it; none can run now
        if known:
            _measured_here(connection, file.sha256)
        else:
            recorded = store.ledger.time()
            _insert(connection, attestation, file, origin=origin, recorded=recorded)
        detail = {
            "base": base,
            "suite": evaluation.suite,
            "attestation": file.sha256,
            "origin": origin,
        }
        store.ledger.append(connection, Event.VERSION_EVALUATE, info.subject, detail)
        return file.sha256


def of_version(
    connection: Connection, blobs: BlobStore, version_digest: str
) -> list[EvaluationInfo]:
    """Evaluations of a version, the newest first; raises NotFound."""
    version = reading.identity(connection, version_digest)
    means = _means(connection, version)
    table = schema.evaluation
    query = select(table).where(table.c.version_id == version).order_by(table.c.id.desc())
    return [
        EvaluationInfo(
            digest=row.digest,
            path=blobs.path(row.digest),
            suite=row.suite,
            suite_digest=row.suite_digest,
            base=row.base,
            created=row.recorded,
            environment=json.loads(row.environment),
            means=means.get(row.id, {}),
            origin=row.origin,
        )
        for row in connection.execute(query).all()
    ]


def _origin(connection: Connection, digest: str) -> str | None:
    """Where a known evaluation came from, None for one that is not known."""
    table = schema.evaluation
    return connection.scalar(select(table.c.origin).where(table.c.digest == digest))


def _measured_here(connection: Connection, digest: str) -> None:
    table = schema.evaluation
    connection.execute(update(table).where(table.c.digest == digest).values(origin=HERE))


def _insert(
    connection: Connection,
    attestation: Attestation,
    file: FileRecord,
    *,
    origin: str,
    recorded: str,
) -> None:
    evaluation = attestation.evaluation
    storing.blobs(connection, [file])
    values = {
        "digest": file.sha256,
        "version_id": reading.identity(connection, attestation.version),
        "base": attestation.base,
        "suite": evaluation.suite,
        "suite_digest": evaluation.suite_digest,
        "environment": json.dumps(dict(evaluation.environment), sort_keys=True),
        "origin": writable(origin),
        "recorded": recorded,
    }
    row = storing.inserted_id(connection, schema.evaluation, values)
    scores = [_values(row, score) for score in evaluation.scores]
    storing.insert_all(connection, schema.score, scores)
    derived.index_evaluation(connection, row, evaluation)


def _means(connection: Connection, version: int) -> Mapping[int, Mapping[str, Mean]]:
    """The averages of all evaluations of a version, by row number and measure."""
    table, evaluation = schema.mean.c, schema.evaluation
    query = (
        select(table.evaluation_id, table.measure, table.before, table.after, table["count"])
        .join(evaluation, evaluation.c.id == table.evaluation_id)
        .where(evaluation.c.version_id == version)
        .order_by(table.evaluation_id, table.measure)
    )
    found: dict[int, dict[str, Mean]] = {}
    for row, measure, *values in connection.execute(query):
        found.setdefault(row, {})[measure] = Mean(*values)
    return found


def _values(row: int, score: Score) -> Mapping[str, Any]:
    return {
        "evaluation_id": row,
        "measure": score.measure,
        "case_id": score.case,
        "before": score.before,
        "after": score.after,
        "count": score.count,
    }
