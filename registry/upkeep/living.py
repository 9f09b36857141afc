"""Which blobs living versions and their evaluations need, and what the others belonged to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, literal, not_, select, union_all

from ..database import schema
from ..database.batches import chunks
from ..versions import standing

ATTESTATION = "attestation"


@dataclass(frozen=True)
class Former:
    """What a blob of deleted versions was: files such as `acme/capitals@3 patch.json`.

    `deleted` is the time of the last deletion, as in 2026-01-31T12:00:00Z.
    """

    names: tuple[str, ...]
    deleted: str


def references() -> Select[Any]:
    """Each file and attestation of each version: digest, path, namespace, name, number, id."""
    found = []
    for table, path in (
        (schema.version_file, schema.version_file.c.path),
        (schema.evaluation, literal(ATTESTATION)),
    ):
        joined = table.join(schema.version, schema.version.c.id == table.c.version_id).join(
            schema.patch, schema.patch.c.id == schema.version.c.patch_id
        )
        found.append(
            select(
                table.c.digest.label("digest"),
                path.label("path"),
                schema.patch.c.namespace,
                schema.patch.c.name,
                schema.version.c.number,
                schema.version.c.id.label("version_id"),
                not_(standing.kept()).label("deleted"),
            ).select_from(joined)
        )
    both = union_all(*found).subquery("reference")
    return select(both)


def needed(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Those of some blobs that a living version or an evaluation of one refers to."""
    found: set[str] = set()
    for part in chunks(digests):
        for row in connection.execute(_about(part)):
            if not row.deleted:
                found.add(row.digest)
    return found


def former(connection: Connection, digests: Sequence[str]) -> Mapping[str, Former]:
    """What those of some blobs were that deleted versions refer to."""
    found: dict[str, Former] = {}
    for part in chunks(digests):
        rows = [row for row in connection.execute(_about(part)) if row.deleted]
        times = _deletions(connection, {row.version_id for row in rows})
        for row in rows:
            time = times[row.version_id]
            known = found.get(row.digest, Former((), time))
            found[row.digest] = Former((*known.names, label(row)), max(known.deleted, time))
    return found


def label(row: Any) -> str:  # noqa: ANN401 - a row of `references`
    """`namespace/name@3 patch.json`."""
    return f"{row.namespace}/{row.name}@{row.number} {row.path}"


def _about(digests: Sequence[str]) -> Select[Any]:
    query = references()
    return query.where(query.selected_columns.digest.in_(digests))


def _deletions(connection: Connection, versions: Iterable[int]) -> Mapping[int, str]:
    """When each of some versions was last deleted."""
    standing, ledger = schema.standing.c, schema.ledger
    query = (
        select(standing.version_id, func.max(ledger.c.time))
        .join(ledger, ledger.c.seq == standing.seq)
        .where(standing.state == schema.DELETED)
        .group_by(standing.version_id)
    )
    return {
        version: time
        for part in chunks(versions)
        for version, time in connection.execute(query.where(standing.version_id.in_(part)))
    }
