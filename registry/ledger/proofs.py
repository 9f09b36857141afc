"""Proofs about the ledger that anybody can check with a checkpoint, and with no database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ...patches.digests import is_sha256
from ...patches.errors import FormatError, ManifestError, VerificationFailed
from ...patches.format import jsonfile
from ..errors import HistoryRewritten
from .chain import NOT_OURS, strangeness
from .checkpoints import Checkpoint
from .merkle import leaf_hash, proves_growth, proves_inclusion

ENTRY = "weightpatch.ledger-entry-proof/1"
GROWTH = "weightpatch.ledger-growth-proof/1"
MAX_BYTES = 1 << 20
MAX_PATH = 128
"""A path of a tree has no more hashes than twice the bits of its size."""

_OF_ENTRY = {"schema", "origin", "size", "root", "index", "body", "path"}
_OF_GROWTH = {"schema", "origin", "size", "root", "old_size", "old_root", "path"}


@dataclass(frozen=True)
class EntryProof:
    """That an entry with this body stands at `index`, counted from 0, in a ledger.

    `checkpoint` is that of the ledger; `path` holds the hashes that lead from the entry to its root
    (RFC 6962, 2.1.1).
    """

    checkpoint: Checkpoint
    index: int
    body: bytes
    path: tuple[bytes, ...]

    def to_json(self) -> dict[str, Any]:
        """The proof as a JSON document; hashes are in hexadecimal digits."""
        place = {"index": self.index, "body": self.body.decode()}
        return {"schema": ENTRY, **_tip(self.checkpoint), **place, "path": _hex(self.path)}

    def check(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Compare with a checkpoint that is known to be true; gives the entry's record.

        Raises VerificationFailed, HistoryRewritten.
        """
        _same(self.checkpoint, checkpoint)
        leaf = leaf_hash(self.body)
        if not proves_inclusion(leaf, self.index, checkpoint.size, self.path, checkpoint.root):
            _refuse(f"entry {self.index + 1} is not the one in the proof")
        record = jsonfile.parse(self.body, what="the entry")
        try:
            strange = strangeness(record, self.index + 1)
        except NOT_OURS:
            strange = "its body is not one that weightpatch writes"
        if strange:
            _refuse(f"entry {self.index + 1}: {strange}")
        return record


@dataclass(frozen=True)
class GrowthProof:
    """That a ledger grew out of an older one, whose entries are its first ones.

    `old` and `checkpoint` are their checkpoints; `path` is that of RFC 6962, 2.1.2.
    """

    old: Checkpoint
    checkpoint: Checkpoint
    path: tuple[bytes, ...]

    def to_json(self) -> dict[str, Any]:
        """The proof as a JSON document; hashes are in hexadecimal digits."""
        old = {"old_size": self.old.size, "old_root": self.old.root.hex()}
        return {"schema": GROWTH, **_tip(self.checkpoint), **old, "path": _hex(self.path)}

    def check(self, old: Checkpoint, checkpoint: Checkpoint) -> None:
        """Compare with two checkpoints that are known to be true.

        Raises VerificationFailed, HistoryRewritten.
        """
        _same(self.old, old)
        _same(self.checkpoint, checkpoint)
        roots = (old.size, old.root, checkpoint.size, checkpoint.root)
        if old.origin != checkpoint.origin or not proves_growth(*roots, self.path):
            _refuse("the proof does not show that the one ledger grew out of the other")


def read_proof(data: bytes) -> EntryProof | GrowthProof:
    """Read a proof that came from anywhere; raises FormatError for what is none."""
    try:
        return _read(data)
    except (ValueError, AttributeError, TypeError) as error:
        why = str(error)
    except ManifestError as error:
        why = error.message
    raise FormatError(
        "this is not a proof about a ledger",
        why=why,
        hint="write one with: weightpatch ledger prove",
    )


def _read(data: bytes) -> EntryProof | GrowthProof:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES} bytes")
    document = jsonfile.parse(data, what="the proof")
    kind, keys = document.get("schema"), set(document)
    if kind == ENTRY and keys == _OF_ENTRY:
        body = document["body"].encode()
        tip = _checkpoint(document, "size", "root")
        return EntryProof(tip, _number(document["index"]), body, _path(document))
    if kind == GROWTH and keys == _OF_GROWTH:
        old = _checkpoint(document, "old_size", "old_root")
        return GrowthProof(old, _checkpoint(document, "size", "root"), _path(document))
    raise ValueError(f"its schema is not {ENTRY} or {GROWTH}, or its keys are others")


def _tip(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }


def _hex(path: Iterable[bytes]) -> list[str]:
    return [node.hex() for node in path]


def _checkpoint(document: Mapping[str, Any], size: str, root: str) -> Checkpoint:
    """A checkpoint of a proof, read as strictly as one of its own."""
    found = Checkpoint(document["origin"], _number(document[size]), _hash(document[root]))
    return Checkpoint.parse(str(found).encode())


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("a number of entries must be a whole number")
    return value


def _hash(value: object) -> bytes:
    if not is_sha256(value):
        raise ValueError("a hash must be 64 hexadecimal digits in small letters")
    return bytes.fromhex(str(value))


def _path(document: Mapping[str, Any]) -> tuple[bytes, ...]:
    path = document["path"]
    if not isinstance(path, list) or len(path) > MAX_PATH:
        raise ValueError(f"its path must be a list of at most {MAX_PATH} hashes")
    return tuple(map(_hash, path))


def _same(proved: Checkpoint, known: Checkpoint) -> None:
    """See whether a proof speaks of a checkpoint; raises VerificationFailed, HistoryRewritten."""
    if proved.origin != known.origin:
        _refuse(f"the proof is about {proved.origin}, the checkpoint about {known.origin}")
    if proved.size != known.size:
        raise VerificationFailed(
            f"the proof is about {proved.size} entries, the checkpoint about {known.size}",
            hint=f"make the proof for the checkpoint: --size {known.size}",
        )
    if proved.root != known.root:
        raise HistoryRewritten(
            f"the {known.size} entries of the proof are not those of the checkpoint",
            why="one of the two was made of another history",
            hint="ask whoever made the proof which entries were changed",
        )


def _refuse(message: str) -> NoReturn:
    raise VerificationFailed(message, hint="do not rely on what the proof should show")
