"""How a version was made, as a row that its manifest can make again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import insert as insert_into

from ...patches.format import jsonfile
from ...patches.format.manifest import MethodRecord
from ..database import schema
from ..database.checks import MAX_SHORT


@dataclass(frozen=True)
class Provenance:
    """How a version was made, as its manifest says."""

    method: str
    method_version: str
    seed: int | None
    device: str
    hyperparameters: Mapping[str, Any]
    statistics: Sequence[Mapping[str, Any]]
    tools: Mapping[str, str]


def insert(connection: Connection, version_id: int, method: MethodRecord) -> None:
    """Insert the row of a version."""
    connection.execute(
        insert_into(schema.provenance).values(
            version_id=version_id,
            method_version=method.version[:MAX_SHORT],
            seed=method.seed,
            device=method.device[:MAX_SHORT],
            hyperparameters=_json(method.hyperparameters),
            statistics=_json(method.statistics),
            tools=_json(method.tools),
        )
    )


def _json(value: object) -> str:
    return jsonfile.canonical(value, what="the provenance").decode()


def find(connection: Connection, digest: str) -> Provenance | None:
    """How the version with this digest was made; None if it is not known, its patch.json lost."""
    version, table = schema.version, schema.provenance
    query = (
        select(version.c.method, table)
        .join(table, table.c.version_id == version.c.id)
        .where(version.c.digest == digest)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return Provenance(
        method=row.method,
        method_version=row.method_version,
        seed=row.seed,
        device=row.device,
        hyperparameters=json.loads(row.hyperparameters),
        statistics=json.loads(row.statistics),
        tools=json.loads(row.tools),
    )
