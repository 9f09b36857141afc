"""Scores of versions: one row an evaluation, one a measure and case."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from ..patches.evaluation.base import Evaluation, Mean, Score
from ..patches.manifest import FileRecord
from . import schema, storing
from .attestations import Attestation


@dataclass(frozen=True)
class EvaluationInfo:
    """One evaluation of a version.

    `digest` is that of the attestation, the file at `path`; `base` the fingerprint of the
    checkpoint that was scored; `created` the time at which it came into this registry.
    """

    digest: str
    path: Path
    suite: str
    suite_digest: str
    base: str
    created: str
    environment: Mapping[str, str]
    means: Mapping[str, Mean]


def known(connection: Connection, digest: str) -> bool:
    """Whether the evaluation with this digest is stored."""
    query = select(schema.evaluation.c.id).where(schema.evaluation.c.digest == digest)
    return connection.scalar(query) is not None


def store(
    connection: Connection,
    version: int,
    attestation: Attestation,
    file: FileRecord,
    *,
    recorded: str,
) -> None:
    """Insert the rows of an evaluation that is not stored yet."""
    evaluation = attestation.evaluation
    storing.blobs(connection, [file])
    row = connection.scalars(
        insert(schema.evaluation)
        .values(
            digest=file.sha256,
            version_id=version,
            base=attestation.base,
            suite=evaluation.suite,
            suite_digest=evaluation.suite_digest,
            environment=json.dumps(dict(evaluation.environment), sort_keys=True),
            recorded=recorded,
        )
        .returning(schema.evaluation.c.id)
    ).one()
    connection.execute(insert(schema.score), [_values(row, score) for score in evaluation.scores])


def rows(connection: Connection, version: int) -> Sequence[Row[Any]]:
    """Rows of a version's evaluations, the newest first."""
    table = schema.evaluation
    query = select(table).where(table.c.version_id == version).order_by(table.c.id.desc())
    return connection.execute(query).all()


def means(connection: Connection, row: Row[Any]) -> Mapping[str, Mean]:
    """Means and aggregates of an evaluation, from the scores of its cases."""
    table = schema.score
    query = select(table).where(table.c.evaluation_id == row.id)
    scores = tuple(
        Score(each.case_id, each.measure, each.before, each.after, each.count)
        for each in connection.execute(query.order_by(table.c.measure, table.c.case_id))
    )
    return Evaluation(row.suite, row.suite_digest, {}, scores, {}).means()


def _values(row: int, score: Score) -> Mapping[str, Any]:
    return {
        "evaluation_id": row,
        "measure": score.measure,
        "case_id": score.case,
        "before": score.before,
        "after": score.after,
        "count": score.count,
    }
