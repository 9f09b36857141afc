"""Whether the tensors of a recorded base are those that its fingerprint was computed from."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from ...patches.errors import InputError
from .. import known_bases
from ..database import schema
from ..ledger.chain import NOT_OURS
from .findings import COMPARE, Examination, Finding, Severity


def tensors(about: Examination) -> Iterator[Finding]:
    """Bases with a tensor more, less or another than they were recorded with."""
    if not about.full:
        return
    table = schema.base
    query = select(table.c.id, table.c.name, table.c.fingerprint).order_by(table.c.id)
    for row in about.connection.execute(query).all():
        if _fingerprint(about.connection, row.id) != row.fingerprint:
            what = f"rows of the base {row.name} are not those of its fingerprint: base_tensor"
            yield Finding("row-edited", what, Severity.TAMPERED, COMPARE, digest=row.fingerprint)


def _fingerprint(connection: Connection, base: int) -> str | None:
    """The fingerprint of a base's rows, None for rows that weightpatch did not write."""
    try:
        return known_bases.fingerprint_of(known_bases.tensors_of(connection, base))
    except (*NOT_OURS, InputError):
        return None
