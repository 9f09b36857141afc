"""Whether the rows of a version and of an evaluation are what their files say.

Each version is stored once more, in a database in memory, from its hashed files; then rows are
compared. So somebody who dropped the triggers and edited a row is found.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, create_engine, func, select

from ...patches.errors import InputError
from ...patches.evaluation.base import Evaluation
from ...patches.format.manifest import FileRecord, Manifest
from ...patches.format.patch import MANIFEST, REQUESTS
from ...patches.requests import parse_requests
from ..attestations import Attestation
from ..database import schema
from ..errors import RegistryError
from ..versions import reading, standing, storing
from .findings import COMPARE, Examination, Finding, Severity

PAGE = 500
PARTS = (
    schema.version_parent,
    schema.version_base,
    schema.version_tensor,
    schema.operation,
    schema.request,
    schema.version_file,
    schema.provenance,
)
NOT_SAID = ("id", "patch_id", "version_id", "recorded")
"""Columns that the files of a version say nothing of."""

TERM = schema.term.name

_TIME = "1970-01-01T00:00:00Z"
_Tables = Mapping[str, list[tuple[Any, ...]]]


def versions(about: Examination) -> Iterator[Finding]:
    """Versions with a row that is not what their files say; those with lost files are left out."""
    if not about.full:
        return
    engine = create_engine("sqlite://")
    try:
        schema.metadata.create_all(engine)
        with engine.connect() as scratch:
            yield from _each_version(about, scratch)
    finally:
        engine.dispose()


def _each_version(about: Examination, scratch: Connection) -> Iterator[Finding]:
    table = schema.version
    total = about.connection.scalar(select(func.count()).select_from(table))
    last = done = 0
    query = select(table.c.id, table.c.digest).order_by(table.c.id).limit(PAGE)
    while rows := about.connection.execute(query.where(table.c.id > last)).all():
        terms = _terms(about.connection, [row.id for row in rows])
        for row in rows:
            last, done = row.id, done + 1
            meant = _meant(about, scratch, row.digest)
            wrong = _edited(meant, {**_rows(about.connection, row.id), TERM: terms[row.id]})
            if wrong:
                what = f"rows of version {row.digest[:12]} are not what its files say: {wrong}"
                yield Finding("row-edited", what, Severity.TAMPERED, COMPARE, digest=row.digest)
            about.progress("comparing", done, total)


def _edited(meant: _Tables, found: _Tables) -> str:
    """Names of the tables in which a version is not what it should be.

    One without the rows that a search needs lacks them, which is found elsewhere.
    """
    lacking = set() if found["provenance"] else {"provenance"}
    if all(field != "word" for field, _ in found[TERM]):
        lacking.add(TERM)
    return ", ".join(name for name in meant if meant[name] != found[name] and name not in lacking)


def _meant(about: Examination, scratch: Connection, digest: str) -> _Tables:
    """What a version's rows should be; nothing if its files are lost."""
    blobs = about.store.blobs
    try:
        data = blobs.require(digest).read_bytes()
        manifest = Manifest.from_bytes(data)
        requests = parse_requests(blobs.require(manifest.files[REQUESTS].sha256).read_bytes())
    except (InputError, RegistryError):
        return {}
    files = {**manifest.files, MANIFEST: FileRecord(digest, len(data))}
    try:
        storing.version(scratch, manifest, requests, files, recorded=_TIME)
        row = reading.identity(scratch, digest)
        return {**_rows(scratch, row), TERM: _terms(scratch, [row])[row]}
    finally:
        scratch.rollback()


def _rows(connection: Connection, row: int) -> _Tables:
    """What a version's rows say, by table, with what its files do not say left out."""
    version, patch = schema.version, schema.patch
    said = [column for column in version.c if column.name not in NOT_SAID]
    whole = select(patch.c.namespace, patch.c.name, patch.c.folded, *said).join_from(version, patch)
    queries = {"version": whole.where(version.c.id == row)}
    for part in PARTS:
        columns = [column for column in part.c if column.name not in NOT_SAID]
        queries[part.name] = select(*columns).where(part.c.version_id == row)
    return {
        name: sorted(map(tuple, connection.execute(query)), key=repr)
        for name, query in queries.items()
    }


def _terms(connection: Connection, versions: Sequence[int]) -> Mapping[int, list[tuple[Any, ...]]]:
    """Fields and terms of some versions, in one pass: they lie in the order of the terms."""
    table = schema.term.c
    query = select(table.version_id, table.field, table.term)
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for version, *said in connection.execute(query.where(table.version_id.in_(versions))):
        found[version].append(tuple(said))
    for terms in found.values():
        terms.sort()
    return found


def evaluations(about: Examination) -> Iterator[Finding]:
    """Evaluations whose row, scores or averages are not what their attestation says."""
    if not about.full:
        return
    table = schema.evaluation
    joined = table.join(schema.version, schema.version.c.id == table.c.version_id)
    query = select(table, schema.version.c.digest.label("version")).select_from(joined)
    for row in about.connection.execute(query.where(standing.kept())).all():
        attestation = _attestation(about, row.digest)
        if attestation and not _agrees(about.connection, row, attestation):
            what = f"rows of the evaluation {row.digest[:12]} are not what its attestation says"
            yield Finding("row-edited", what, Severity.TAMPERED, COMPARE, digest=row.digest)


def _attestation(about: Examination, digest: str) -> Attestation | None:
    try:
        return Attestation.from_bytes(about.store.blobs.require(digest).read_bytes())
    except (InputError, RegistryError):
        return None


def _agrees(connection: Connection, row: Any, attestation: Attestation) -> bool:  # noqa: ANN401
    evaluation = attestation.evaluation
    meant = (
        attestation.version,
        attestation.base,
        evaluation.suite,
        evaluation.suite_digest,
        json.dumps(dict(evaluation.environment), sort_keys=True),
    )
    if meant != (row.version, row.base, row.suite, row.suite_digest, row.environment):
        return False
    score = schema.score.c
    query = select(score.case_id, score.measure, score.before, score.after, score["count"])
    found = connection.execute(query.where(score.evaluation_id == row.id)).all()
    scores = {
        (each.case, each.measure, each.before, each.after, each.count) for each in evaluation.scores
    }
    return {tuple(each) for each in found} == scores and _averages_agree(
        connection, row.id, evaluation
    )


def _averages_agree(connection: Connection, row: int, evaluation: Evaluation) -> bool:
    """Whether averages are those of the scores; where there are none, they are only missing."""
    mean = schema.mean.c
    query = select(mean.measure, mean.before, mean.after, mean["count"])
    found = {tuple(each) for each in connection.execute(query.where(mean.evaluation_id == row))}
    meant = {
        (name, each.before, each.after, each.cases) for name, each in evaluation.means().items()
    }
    return not found or found == meant
