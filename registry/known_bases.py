"""Checkpoints that were seen: the digests of all their tensors, and where they lie."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select, update

from ..patches.checkpoints.checkpoint import Checkpoint
from ..patches.format.manifest import BaseRecord
from . import schema, storing
from .bounds import check_text
from .events import Event
from .ledger import Subject
from .store import Store


@dataclass(frozen=True)
class BaseInfo:
    """A recorded checkpoint; `fingerprint` is one name for all its tensors."""

    name: str
    revision: str | None
    fingerprint: str
    tensors: int
    is_new: bool = False

    @property
    def subject(self) -> Subject:
        """The base as the subject of a ledger entry."""
        label = f"{self.name}@{self.revision}" if self.revision else self.name
        return Subject(label, self.fingerprint)


def record(store: Store, checkpoint: Checkpoint, location: str) -> BaseInfo:
    """Remember a checkpoint and its place; raises LimitExceeded, InputError."""
    _check(checkpoint, location)
    digests = checkpoint.digests()
    with store.database.writing() as connection:
        row = _find(connection, checkpoint.fingerprint)
        is_new = row is None
        if row is None:
            row = _insert(connection, checkpoint, digests, recorded=store.ledger.time())
        info = _info(connection, row, is_new=is_new)
        moved = _locate(connection, row, location, seen=store.ledger.time())
        if is_new or moved:
            detail = {"location": location, "tensors": info.tensors}
            store.ledger.append(connection, Event.BASE_RECORD, info.subject, detail)
        return info


def places(connection: Connection, record: BaseRecord) -> list[Path]:
    """Where checkpoints lie that have every tensor of `record`, the last seen first."""
    wanted = {name: tensor.sha256 for name, tensor in record.tensors.items()}
    name, digest = next(iter(wanted.items()))
    tensor, location = schema.base_tensor, schema.base_location
    query = (
        select(location.c.location, tensor.c.base_id)
        .join(location, location.c.base_id == tensor.c.base_id)
        .where(tensor.c.name == name, tensor.c.sha256 == digest)
        .order_by(location.c.seen.desc(), location.c.id.desc())
    )
    candidates = connection.execute(query).all()
    fitting = {
        base
        for base in {row.base_id for row in candidates}
        if wanted.items() <= _digests(connection, base).items()
    }
    return [Path(row.location) for row in candidates if row.base_id in fitting]


def _check(checkpoint: Checkpoint, location: str) -> None:
    check_text("the id of a base", checkpoint.id)
    check_text("the revision of a base", checkpoint.revision)
    check_text("the path of a base", location, schema.MAX_LOCATION)
    for name in checkpoint.tensors:
        check_text("the name of a tensor", name)


def _find(connection: Connection, fingerprint: str) -> int | None:
    query = select(schema.base.c.id).where(schema.base.c.fingerprint == fingerprint)
    row = connection.scalar(query)
    return None if row is None else int(row)


def _insert(
    connection: Connection,
    checkpoint: Checkpoint,
    digests: Mapping[str, str],
    *,
    recorded: str,
) -> int:
    values = {
        "fingerprint": checkpoint.fingerprint,
        "name": checkpoint.id,
        "revision": checkpoint.revision,
        "tokenizer": checkpoint.tokenizer_digest,
        "recorded": recorded,
    }
    row = storing.inserted_id(connection, schema.base, values)
    tensors = [
        {
            "base_id": row,
            "name": name,
            "dtype": info.dtype,
            "shape": json.dumps(info.shape),
            "sha256": digests[name],
        }
        for name, info in checkpoint.tensors.items()
    ]
    storing.insert_all(connection, schema.base_tensor, tensors)
    return row


def _locate(connection: Connection, base: int, location: str, *, seen: str) -> bool:
    """Note the place of a base; false if it was known to be there."""
    table = schema.base_location
    there = connection.execute(
        select(table.c.id, table.c.base_id).where(table.c.location == location)
    ).first()
    if there is None:
        values = {"base_id": base, "location": location, "seen": seen}
        storing.insert_all(connection, table, [values])
        return True
    if there.base_id == base:
        return False
    moved = update(table).where(table.c.id == there.id).values(base_id=base, seen=seen)
    connection.execute(moved)
    return True


def _info(connection: Connection, row: int, *, is_new: bool) -> BaseInfo:
    base, tensor = schema.base, schema.base_tensor
    found = connection.execute(select(base).where(base.c.id == row)).one()
    count = select(func.count()).select_from(tensor).where(tensor.c.base_id == row)
    tensors = connection.scalars(count).one()
    return BaseInfo(found.name, found.revision, found.fingerprint, tensors, is_new)


def _digests(connection: Connection, base: int) -> Mapping[str, str]:
    table = schema.base_tensor
    query = select(table.c.name, table.c.sha256).where(table.c.base_id == base)
    return {row.name: row.sha256 for row in connection.execute(query)}
