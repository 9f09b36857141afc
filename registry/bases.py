"""Checkpoints that were seen: the digests of all their tensors, and where they lie."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ..patches.checkpoint import Checkpoint
from ..patches.manifest import BaseRecord
from . import schema
from .bounds import check_text
from .ledger import Subject


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


def store(connection: Connection, checkpoint: Checkpoint, *, recorded: str) -> tuple[int, bool]:
    """Row of a checkpoint whose digests were computed before, and whether it is new."""
    table = schema.base
    found = connection.scalar(
        select(table.c.id).where(table.c.fingerprint == checkpoint.fingerprint)
    )
    if found is not None:
        return int(found), False
    row = connection.scalars(
        insert(table)
        .values(
            fingerprint=checkpoint.fingerprint,
            name=checkpoint.id,
            revision=checkpoint.revision,
            tokenizer=checkpoint.tokenizer_digest,
            recorded=recorded,
        )
        .returning(table.c.id)
    ).one()
    connection.execute(insert(schema.base_tensor), _tensors(row, checkpoint))
    return int(row), True


def locate(connection: Connection, base: int, location: str, *, seen: str) -> bool:
    """Remember that a base lies at `location`; false if that is known already."""
    table = schema.base_location
    there = connection.execute(
        select(table.c.id, table.c.base_id).where(table.c.location == location)
    ).first()
    if there is None:
        values = {"base_id": base, "location": location, "seen": seen}
        connection.execute(insert(table).values(**values))
        return True
    if there.base_id == base:
        return False
    moved = update(table).where(table.c.id == there.id).values(base_id=base, seen=seen)
    connection.execute(moved)
    return True


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


def check(checkpoint: Checkpoint, location: str) -> None:
    """Raise LimitExceeded or InputError unless names and location fit into the tables."""
    check_text("the id of a base", checkpoint.id)
    check_text("the revision of a base", checkpoint.revision)
    check_text("the path of a base", location, schema.MAX_LOCATION)
    for name in checkpoint.tensors:
        check_text("the name of a tensor", name)


def _digests(connection: Connection, base: int) -> Mapping[str, str]:
    table = schema.base_tensor
    query = select(table.c.name, table.c.sha256).where(table.c.base_id == base)
    return {row.name: row.sha256 for row in connection.execute(query)}


def _tensors(base: int, checkpoint: Checkpoint) -> list[Mapping[str, Any]]:
    digests = checkpoint.digests()
    return [
        {
            "base_id": base,
            "name": name,
            "dtype": info.dtype,
            "shape": json.dumps(info.shape),
            "sha256": digests[name],
        }
        for name, info in checkpoint.tensors.items()
    ]
