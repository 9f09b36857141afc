"""Checkpoints that were seen: the digests of their tensors, and where they lie."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, func, or_, select, update

from ..patches.checkpoints.checkpoint import Checkpoint
from ..patches.digests import sha256
from ..patches.format import jsonfile
from ..patches.format.manifest import BaseRecord, TensorRecord
from .bounds import check_text
from .database import schema
from .ledger.entries import Subject
from .ledger.events import Event
from .store import Store
from .versions import storing


@dataclass(frozen=True)
class BaseInfo:
    """A recorded checkpoint; `fingerprint` is one name for all its tensors that are known."""

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
    _check(checkpoint.id, checkpoint.revision, location, checkpoint.tensors)
    digests = checkpoint.digests()
    tensors = {
        name: TensorRecord(info.dtype, info.shape, digests[name])
        for name, info in checkpoint.tensors.items()
    }
    base = BaseRecord(
        checkpoint.id, checkpoint.revision, checkpoint.tokenizer_digest, tensors, result={}
    )
    with store.database.writing() as connection:
        return _remember(store, connection, base, location)


def note(store: Store, base: BaseRecord, location: str) -> BaseInfo:
    """Remember the place of a checkpoint that has the tensors of `base`, whatever else it has.

    They are added to what is known of the checkpoint in that place, unless that was another one.
    Raises LimitExceeded, InputError.
    """
    _check(base.id, base.revision, location, base.tensors)
    with store.database.writing() as connection:
        row = _located(connection, location)
        known = {} if row is None else tensors_of(connection, row)
        if row is not None and base.tensors.items() <= known.items():
            return _info(connection, row, is_new=False)
        if _agree(_sha256(known), _sha256(base.tensors)):
            base = replace(base, tensors={**known, **base.tensors})
        return _remember(store, connection, base, location)


def places(connection: Connection, record: BaseRecord) -> list[Path]:
    """Where checkpoints lie that have every tensor of `record`, the last seen first.

    After them those that may have: they have one tensor of it or its name, and no other tensor.
    """
    wanted = _sha256(record.tensors)
    name, digest = next(iter(wanted.items()))
    base, tensor, location = schema.base.c, schema.base_tensor.c, schema.base_location.c
    having = select(tensor.base_id).where(tensor.name == name, tensor.sha256 == digest)
    named = select(base.id).where(
        base.name == record.id, base.revision.is_not_distinct_from(record.revision)
    )
    query = (
        select(location.location, location.base_id)
        .where(or_(location.base_id.in_(having), location.base_id.in_(named)))
        .order_by(location.seen.desc(), location.id.desc())
    )
    candidates = connection.execute(query).all()
    known = {base: _digests(connection, base) for base in {row.base_id for row in candidates}}
    fitting = [row for row in candidates if wanted.items() <= known[row.base_id].items()]
    perhaps = [
        row for row in candidates if row not in fitting and _agree(wanted, known[row.base_id])
    ]
    return [Path(row.location) for row in (*fitting, *perhaps)]


def _agree(some: Mapping[str, str], others: Mapping[str, str]) -> bool:
    """Whether what stands in both mappings is the same."""
    return all(others.get(name, digest) == digest for name, digest in some.items())


def _sha256(tensors: Mapping[str, TensorRecord]) -> dict[str, str]:
    return {name: tensor.sha256 for name, tensor in tensors.items()}


def _check(name: str, revision: str | None, location: str, tensors: Iterable[str]) -> None:
    check_text("the id of a base", name)
    check_text("the revision of a base", revision)
    check_text("the path of a base", location, schema.MAX_LOCATION)
    for tensor in tensors:
        check_text("the name of a tensor", tensor)


def _remember(store: Store, connection: Connection, base: BaseRecord, location: str) -> BaseInfo:
    fingerprint = fingerprint_of(base.tensors)
    row = _find(connection, fingerprint)
    is_new = row is None
    if row is None:
        row = _insert(connection, base, fingerprint, recorded=store.ledger.time())
    info = _info(connection, row, is_new=is_new)
    moved = _locate(connection, row, location, seen=store.ledger.time())
    if is_new or moved:
        detail = {"location": location, "tensors": info.tensors}
        store.ledger.append(connection, Event.BASE_RECORD, info.subject, detail)
    return info


def fingerprint_of(tensors: Mapping[str, TensorRecord]) -> str:
    """What Checkpoint.fingerprint is for a checkpoint that has these tensors and no others."""
    forms = {
        name: [tensor.dtype, list(tensor.shape), tensor.sha256] for name, tensor in tensors.items()
    }
    return sha256(jsonfile.canonical(forms, what="fingerprint"))


def _find(connection: Connection, fingerprint: str) -> int | None:
    query = select(schema.base.c.id).where(schema.base.c.fingerprint == fingerprint)
    row = connection.scalar(query)
    return None if row is None else int(row)


def _insert(connection: Connection, base: BaseRecord, fingerprint: str, *, recorded: str) -> int:
    values = {
        "fingerprint": fingerprint,
        "name": base.id,
        "revision": base.revision,
        "tokenizer": base.tokenizer,
        "recorded": recorded,
    }
    row = storing.inserted_id(connection, schema.base, values)
    tensors = [
        {
            "base_id": row,
            "name": name,
            "dtype": tensor.dtype,
            "shape": json.dumps(tensor.shape),
            "sha256": tensor.sha256,
        }
        for name, tensor in base.tensors.items()
    ]
    storing.insert_all(connection, schema.base_tensor, tensors)
    return row


def _located(connection: Connection, location: str) -> int | None:
    """The base that was last seen in a place."""
    table = schema.base_location
    row = connection.scalar(select(table.c.base_id).where(table.c.location == location))
    return None if row is None else int(row)


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


def tensors_of(connection: Connection, base: int) -> dict[str, TensorRecord]:
    """The tensors in the rows of a recorded checkpoint."""
    table = schema.base_tensor
    return {
        row.name: TensorRecord(row.dtype, tuple(json.loads(row.shape)), row.sha256)
        for row in connection.execute(select(table).where(table.c.base_id == base))
    }
