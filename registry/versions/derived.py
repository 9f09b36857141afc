"""Rows that can be made again: what finds a version, how it was made, averages of its scores.

They are written together with what they are derived from, and by `rebuild` where they are missing:
after an upgrade from a schema that had none, or when somebody took them away.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Row, Select, except_, exists, insert, select

from ...patches.errors import InputError
from ...patches.evaluation.base import Evaluation, Score
from ...patches.format.manifest import Manifest
from ...patches.format.patch import MANIFEST
from ...patches.requests import EditRequest
from ..blobs import BlobStore
from ..database import batches, schema
from ..database.batches import chunks
from ..errors import BlobLost
from . import provenance, terms

Terms = Sequence[tuple[str, str]]
"""Words and subjects that find a version: field and term of each row, none of them twice."""


def terms_of(manifest: Manifest, requests: Sequence[EditRequest]) -> Terms:
    """What finds a version, which may take a second to make: do it before others wait."""
    texts = (manifest.name, manifest.author, manifest.method.name, manifest.message)
    subjects = [request.subject for request in requests]
    targets = [request.target for request in requests]
    return list(_terms(texts, subjects, targets))


def index_version(
    connection: Connection, version_id: int, manifest: Manifest, found_by: Terms
) -> None:
    """Insert the words, subjects and provenance of a new version."""
    _insert_terms(connection, version_id, found_by)
    provenance.insert(connection, version_id, manifest.method)


def index_evaluation(connection: Connection, evaluation_id: int, evaluation: Evaluation) -> None:
    """Insert the averages of a new evaluation."""
    rows = [
        {
            "evaluation_id": evaluation_id,
            "measure": measure,
            "before": mean.before,
            "after": mean.after,
            "count": mean.cases,
        }
        for measure, mean in evaluation.means().items()
    ]
    if rows:
        connection.execute(insert(schema.mean), rows)


def rebuild(connection: Connection, blobs: BlobStore) -> int:
    """Make what is missing, and give the number of versions and evaluations that lacked some of it.

    Words, subjects and averages are made of rows, provenance of patch.json in `blobs`; where that
    is lost, a version goes without.
    """
    mended = {row.id for row in lacking_words(connection) if _mend_words(connection, row)}
    mended |= {
        row.id
        for row in _in_batches(connection, lacking_provenance())
        if _mend_provenance(connection, blobs, row)
    }
    evaluations = [
        row.id for row in _in_batches(connection, lacking_means()) if _mend_means(connection, row)
    ]
    return len(mended) + len(evaluations)


def _terms(
    texts: Iterable[str], subjects: Sequence[str], targets: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Field and term of each row of a version, none of them twice."""
    yield from (("word", word) for word in terms.distinct_words([*texts, *subjects, *targets]))
    yield from (("subject", subject) for subject in terms.distinct_subjects(subjects))


def _insert_terms(
    connection: Connection, version_id: int, found: Iterable[tuple[str, str]]
) -> None:
    rows = [{"field": field, "term": term, "version_id": version_id} for field, term in found]
    connection.execute(insert(schema.term), rows)


def lacking_words(connection: Connection) -> Iterator[Row[Any]]:
    """Versions that no word finds. Every version has one: its name."""
    found = select(schema.term.c.version_id).where(schema.term.c.field == "word")
    ids = connection.scalars(except_(select(schema.version.c.id), found)).all()
    version, patch = schema.version, schema.patch
    for some in chunks(ids):
        query = (
            select(version, patch.c.namespace, patch.c.name)
            .join(patch, patch.c.id == version.c.patch_id)
            .where(version.c.id.in_(some))
        )
        yield from connection.execute(query).all()


def _mend_words(connection: Connection, version: Row[Any]) -> bool:
    request = schema.request
    query = (
        select(request.c.subject, request.c.target)
        .where(request.c.version_id == version.id)
        .order_by(request.c.position)
    )
    asked = connection.execute(query).all()
    name = f"{version.namespace}/{version.name}"
    texts = (name, version.author, version.method, version.message)
    subjects, targets = [row.subject for row in asked], [row.target for row in asked]
    there = _subjects_there(connection, version.id, subjects)
    found = (each for each in _terms(texts, subjects, targets) if each not in there)
    _insert_terms(connection, version.id, found)
    return True


def _subjects_there(
    connection: Connection, version_id: int, subjects: Sequence[str]
) -> set[tuple[str, str]]:
    """Rows of a version's subjects, which may be there without its words."""
    table = schema.term.c
    wanted = terms.distinct_subjects(subjects)
    there: set[tuple[str, str]] = set()
    for some in chunks(wanted):
        query = select(table.field, table.term).where(
            table.field == "subject",
            table.term.in_(some),
            table.version_id == version_id,
        )
        there |= {(field, term) for field, term in connection.execute(query)}
    return there


def lacking_provenance() -> Select[Any]:
    """Versions without provenance: id, and digest of patch.json, which is the version's."""
    version, table, file = schema.version, schema.provenance, schema.version_file
    return (
        select(version.c.id, file.c.digest)
        .join(file, file.c.version_id == version.c.id)
        .where(
            file.c.path == MANIFEST,
            ~exists(select(1).where(table.c.version_id == version.c.id)),
        )
        .order_by(version.c.id)
    )


def _mend_provenance(connection: Connection, blobs: BlobStore, version: Row[Any]) -> bool:
    with suppress(BlobLost, InputError, OSError):
        manifest = Manifest.from_bytes(blobs.require(version.digest).read_bytes())
        provenance.insert(connection, version.id, manifest.method)
        return True
    return False


def lacking_means() -> Select[Any]:
    """Evaluations that have scores and no averages: id, digest and suite."""
    evaluation, mean, score = schema.evaluation, schema.mean, schema.score
    return (
        select(evaluation.c.id, evaluation.c.digest)
        .add_columns(evaluation.c.suite, evaluation.c.suite_digest)
        .where(
            exists(select(1).where(score.c.evaluation_id == evaluation.c.id)),
            ~exists(select(1).where(mean.c.evaluation_id == evaluation.c.id)),
        )
        .order_by(evaluation.c.id)
    )


def _mend_means(connection: Connection, row: Row[Any]) -> bool:
    table = schema.score.c
    query = (
        select(table.case_id, table.measure, table.before, table.after, table["count"])
        .where(table.evaluation_id == row.id)
        .order_by(table.measure, table.case_id)
    )
    scores = tuple(Score(*each) for each in connection.execute(query))
    evaluation = Evaluation(row.suite, row.suite_digest, {}, scores, {})
    index_evaluation(connection, row.id, evaluation)
    return True


def _in_batches(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    """Rows of a query in the order of their ids, read a batch at a time."""
    column = query.selected_columns[0]
    last = 0
    while rows := connection.execute(query.where(column > last).limit(batches.SIZE)).all():
        yield from rows
        last = rows[-1][0]
