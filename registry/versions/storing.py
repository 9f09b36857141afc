"""A version as rows, written within one writer's transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from ...patches.errors import LimitExceeded
from ...patches.format.manifest import BaseRecord, FileRecord, Manifest
from ...patches.format.patch import DELTA, MANIFEST, content_digest
from ...patches.requests import EditRequest
from ..database import schema
from ..errors import NameTooAlike
from . import derived
from .refs import fold


def patch_id(connection: Connection, full_name: str) -> int:
    """Row of the patch `namespace/name`, made if it is new; raises NameTooAlike."""
    known = known_patch(connection, full_name)
    if known is not None:
        return known
    namespace, name = full_name.split("/")
    values = {"namespace": namespace, "name": name, "folded": fold(name), "next_version": 1}
    return inserted_id(connection, schema.patch, values)


def known_patch(connection: Connection, full_name: str) -> int | None:
    """Row of the patch `namespace/name`, None for a new one; raises NameTooAlike."""
    namespace, name = full_name.split("/")
    table = schema.patch
    row = connection.execute(
        select(table.c.id, table.c.name).where(
            table.c.namespace == namespace, table.c.folded == fold(name)
        )
    ).first()
    if row is None:
        return None
    if row.name != name:
        raise NameTooAlike(
            f"{full_name} reads like {namespace}/{row.name}, which is taken",
            why="names that differ only in -, _, . or in 0 and o, 1, i and l are mistaken for "
            "one another",
            hint=f"publish a new version of {namespace}/{row.name}, or choose another name",
        )
    return int(row.id)


def next_number(connection: Connection, patch: int) -> int:
    """The number that the next version of a patch gets; raises LimitExceeded after the last one."""
    table = schema.patch
    number = connection.scalars(select(table.c.next_version).where(table.c.id == patch)).one()
    if number > schema.LAST_NUMBER:
        raise LimitExceeded(f"version numbers end at {schema.LAST_NUMBER}")
    return int(number)


def version(
    connection: Connection,
    manifest: Manifest,
    requests: Sequence[EditRequest],
    files: Mapping[str, FileRecord],
    *,
    recorded: str,
    found_by: derived.Terms | None = None,
) -> None:
    """Insert all rows of a version, and move its patch's counter past its number.

    `found_by` are its terms, if they were made before. Raises NameTooAlike.
    """
    patch = patch_id(connection, manifest.name)
    values = {
        "patch_id": patch,
        "number": manifest.version,
        "digest": files[MANIFEST].sha256,
        "content": content_digest(manifest),
        "method": manifest.method.name,
        "author": manifest.author,
        "licence": manifest.licence,
        "message": manifest.message,
        "created": manifest.created,
        "supersedes": manifest.supersedes,
        "delta_size": manifest.files[DELTA].size,
        "recorded": recorded,
    }
    row = inserted_id(connection, schema.version, values)
    _advance(connection, patch, manifest.version + 1)
    _parts(connection, schema.version_parent, row, _parents(manifest))
    _parts(connection, schema.version_base, row, _bases(manifest))
    _parts(connection, schema.version_tensor, row, _tensors(manifest))
    _parts(connection, schema.operation, row, _operations(manifest))
    _parts(connection, schema.request, row, _requests(requests))
    blobs(connection, files.values())
    named = ({"path": path, "digest": file.sha256} for path, file in files.items())
    _parts(connection, schema.version_file, row, named)
    if found_by is None:
        found_by = derived.terms_of(manifest, requests)
    derived.index_version(connection, row, manifest, found_by)


def blobs(connection: Connection, records: Iterable[FileRecord]) -> None:
    """Insert the rows of blobs that have none yet."""
    sizes = {record.sha256: record.size for record in records}
    digest = schema.blob.c.digest
    known = connection.scalars(select(digest).where(digest.in_(sizes))).all()
    new = [
        {"digest": digest, "size": size} for digest, size in sizes.items() if digest not in known
    ]
    insert_all(connection, schema.blob, new)


def _advance(connection: Connection, patch: int, number: int) -> None:
    table = schema.patch
    connection.execute(
        update(table)
        .where(table.c.id == patch, table.c.next_version < number)
        .values(next_version=number)
    )


def inserted_id(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert one row and give its number."""
    return int(connection.scalars(insert(table).values(**values).returning(table.c.id)).one())


def insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert any number of rows, none included."""
    if rows:
        connection.execute(insert(table), rows)


def _parts(
    connection: Connection, table: Table, row: int, parts: Iterable[Mapping[str, Any]]
) -> None:
    insert_all(connection, table, [{"version_id": row, **part} for part in parts])


def _parents(manifest: Manifest) -> Iterable[Mapping[str, Any]]:
    return ({"position": i, "digest": digest} for i, digest in enumerate(manifest.parents))


def _bases(manifest: Manifest) -> Iterable[Mapping[str, Any]]:
    for position, base in enumerate(manifest.bases):
        yield {
            "position": position,
            "name": base.id,
            "revision": base.revision,
            "tokenizer": base.tokenizer,
        }


def _tensors(manifest: Manifest) -> Iterable[Mapping[str, Any]]:
    for position, base in enumerate(manifest.bases):
        for part in _touched(base):
            yield {"position": position, **part}


def _touched(base: BaseRecord) -> Iterable[Mapping[str, Any]]:
    for name, record in base.tensors.items():
        yield {
            "tensor": name,
            "dtype": record.dtype,
            "shape": json.dumps(record.shape),
            "before": record.sha256,
            "after": base.result[name],
        }


def _operations(manifest: Manifest) -> Iterable[Mapping[str, Any]]:
    for tensor, records in manifest.operations.items():
        for position, record in enumerate(records):
            yield {"tensor": tensor, "position": position, **vars(record)}


def _requests(requests: Sequence[EditRequest]) -> Iterable[Mapping[str, Any]]:
    for position, request in enumerate(requests):
        yield {
            "position": position,
            "case_id": request.id,
            "prompt": request.prompt,
            "subject": request.subject,
            "target": request.target,
            "old_target": request.old_target,
        }
