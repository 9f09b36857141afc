"""What can be carried away from a ledger: checkpoints, proofs, and a copy that verifies alone."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO

from sqlalchemy import Connection, select

from ...patches.errors import FormatError
from ..database import schema
from ..errors import DatabaseFailed, NotFound
from .chain import FIRST_HASH, Link, walk
from .checkpoints import Checkpoint, origin_of
from .entries import MAX_BODY
from .merkle import consistency_proof, inclusion_proof, leaf_hash, root_of
from .origin import origin
from .proofs import EntryProof, GrowthProof
from .verification import LedgerReport, report, stored

MAX_LINE = 2 * MAX_BODY + 1024
"""A body holds no control characters, so JSON at most doubles it."""

_KEYS = ("body", "entry_hash", "prev_hash", "seq")


def checkpoint(connection: Connection) -> Checkpoint:
    """The checkpoint of all entries; raises DatabaseFailed."""
    size = _size(connection, None)
    return Checkpoint(_origin(connection), size, root_of(_leaves(connection, size)))


def prove(connection: Connection, seq: int, size: int | None = None) -> EntryProof:
    """That entry `seq` is among the first `size`; raises NotFound, DatabaseFailed."""
    size = _size(connection, size)
    if not 1 <= seq <= size:
        raise NotFound(
            f"there is no entry {seq} among the first {size}",
            hint="the numbers of entries are in: weightpatch log",
        )
    table = schema.ledger
    body = connection.execute(select(table.c.body).where(table.c.seq == seq)).scalar_one()
    leaves = _Leaves(connection, size)
    tip = Checkpoint(_origin(connection), size, root_of(leaves))
    return EntryProof(tip, seq - 1, body, tuple(inclusion_proof(leaves, seq - 1, size)))


def prove_growth(connection: Connection, old_size: int, size: int | None = None) -> GrowthProof:
    """That the first `old_size` entries begin the first `size`; raises NotFound, DatabaseFailed."""
    size = _size(connection, size)
    if not 1 <= old_size <= size:
        raise NotFound(
            f"there was no time at which {old_size} of {size} entries were there",
            hint="name the sizes of two checkpoints, the older one with --from",
        )
    leaves, origin = _Leaves(connection, size), _origin(connection)
    old = Checkpoint(origin, old_size, root_of(islice(leaves, old_size)))
    tip = Checkpoint(origin, size, root_of(leaves))
    return GrowthProof(old, tip, tuple(consistency_proof(leaves, old_size, size)))


def export(connection: Connection) -> Iterator[bytes]:
    """Every entry as a line of canonical JSON: seq, prev_hash, entry_hash and body, which is text.

    Nothing is checked. Raises DatabaseFailed for an entry that cannot be written so.
    """
    with stored(connection) as rows:
        for row in rows:
            try:
                yield _line(Link(*row))
            except (AttributeError, UnicodeDecodeError):
                raise _unreadable(row[0]) from None


def verify_export(file: BinaryIO, checkpoints: Iterable[Checkpoint] = ()) -> LedgerReport:
    """Recompute the chain of an exported ledger, as `verify` does in a database.

    A line that is not one that `export` writes raises FormatError.
    """
    return report(walk(_read_lines(file), checkpoints, lambda _row, _record: None))


def _line(link: Link) -> bytes:
    document = {
        "body": link.body.decode(),
        "entry_hash": link.entry_hash.hex(),
        "prev_hash": link.prev_hash.hex(),
        "seq": link.seq,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _read_lines(file: BinaryIO) -> Iterator[Link]:
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        try:
            yield _link(line)
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise FormatError(
                f"line {number} is not one of an exported ledger",
                why="it must be canonical JSON with body, entry_hash, prev_hash and seq",
                hint="export the ledger again: weightpatch ledger export",
            ) from None


def _link(line: bytes) -> Link:
    """Read a line; raises ValueError, TypeError, AttributeError or RecursionError."""
    document = json.loads(line.decode())
    body, entry, previous, seq = (document.pop(key, None) for key in _KEYS)
    link = Link(seq, bytes.fromhex(previous), bytes.fromhex(entry), body.encode())
    if document or type(seq) is not int or _line(link) != line:
        raise ValueError("another spelling")
    return link


def _size(connection: Connection, size: int | None) -> int:
    table = schema.ledger
    last = connection.scalar(select(table.c.seq).order_by(table.c.seq.desc()).limit(1)) or 0
    if last == 0:
        raise DatabaseFailed(
            "the ledger has no entries", hint="verify it: weightpatch ledger verify"
        )
    if size is not None and not 1 <= size <= last:
        raise NotFound(
            f"the ledger has no more than {last} entries, not {size}",
            hint=f"name a size up to {last}; was the end of the ledger cut off? "
            "weightpatch ledger verify --checkpoint FILE",
        )
    return last if size is None else size


def _origin(connection: Connection) -> str:
    return origin(connection) or origin_of(FIRST_HASH)


class _Leaves:
    """The hashes of the first entries' bodies, read once and kept in 32 bytes each."""

    def __init__(self, connection: Connection, size: int) -> None:
        self._hashes = bytearray()
        for leaf in _leaves(connection, size):
            self._hashes += leaf

    def __iter__(self) -> Iterator[bytes]:
        hashes = memoryview(self._hashes)
        return (bytes(hashes[start : start + 32]) for start in range(0, len(hashes), 32))


def _leaves(connection: Connection, size: int) -> Iterator[bytes]:
    """Hashes of the first entries' bodies; raises DatabaseFailed if one is missing or no body."""
    with stored(connection, most=size) as rows:
        for number, row in enumerate(rows, 1):
            if row[0] != number or not isinstance(row[3], bytes):
                raise _unreadable(number)
            yield leaf_hash(row[3])


def _unreadable(seq: Any) -> DatabaseFailed:  # noqa: ANN401
    return DatabaseFailed(
        f"entry {seq} of the ledger cannot be read",
        why="it was changed or taken away",
        hint="find out more: weightpatch ledger verify",
    )
