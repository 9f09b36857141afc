"""The chain of hashes that ties the ledger's entries, and how a break in it is found.

An entry's leaf is sha256(0x00 ‖ body), as in RFC 6962, and its hash sha256(previous hash ‖ leaf).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .checkpoints import Checkpoint, origin_of
from .events import Event
from .merkle import Tree, leaf_hash

FIRST_HASH = bytes(32)
NOT_OURS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a body may raise that weightpatch did not write."""

_STRANGE = "its body is not one that weightpatch writes"
_KEYS = frozenset(("seq", "time", "actor", "action", "subject", "detail", "tool"))
_SUBJECT_KEYS = frozenset(("label", "digest"))
_VERSION_LABEL = re.compile(r"([a-z0-9._-]{1,96}/[a-z0-9._-]{1,96})@[1-9][0-9]{0,9}")


class Link(NamedTuple):
    """One entry as it is stored, without what its row repeats of the body."""

    seq: int
    prev_hash: bytes
    entry_hash: bytes
    body: bytes


Further = Callable[[Any, Mapping[str, Any]], str | None]
"""Looks at a row that begins with a Link's fields, and its record; says what is wrong with it."""


@dataclass(frozen=True)
class Walk:
    """What reading a chain found: how far it is sound, and which checkpoints it contradicts."""

    sound: int
    head: bytes
    tip: Checkpoint | None
    flaw: str | None
    rewritten: Mapping[int, str]


def entry_hash(previous: bytes, leaf: bytes) -> bytes:
    """Hash of the entry with this leaf that follows the entry with the hash `previous`."""
    return hashlib.sha256(previous + leaf).digest()


def columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a row repeats of its body; `patch` is the name that a version's label begins with."""
    subject = record["subject"]
    label: str = subject["label"]
    version = _VERSION_LABEL.fullmatch(label)
    return {
        "time": record["time"],
        "actor": record["actor"],
        "action": record["action"],
        "label": label,
        "patch": version[1] if version else None,
        "digest": subject["digest"],
    }


def walk(rows: Iterable[Any], checkpoints: Iterable[Checkpoint], further: Further) -> Walk:
    """Recompute a chain from its first entry; stops at the first that is broken.

    A row is a tuple that begins with the fields of a Link. Each checkpoint is compared with the
    tree over as many entries as it speaks of. A chain without any entry is broken at entry 1.
    """
    previous, tree, flaw, origin = FIRST_HASH, Tree(), None, ""
    wanted: dict[int, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        wanted.setdefault(checkpoint.size, []).append(checkpoint)
    rewritten: dict[int, str] = {}
    for row in rows:  # a million of them: nothing here that is not needed
        seq = tree.size + 1
        flaw, leaf = _flaw(row, seq, previous, further)
        if flaw:
            break
        previous = row[2]
        tree.add(leaf)
        origin = origin or origin_of(previous)
        if seq in wanted:
            here = Checkpoint(origin, seq, tree.root())
            rewritten |= _contradictions(here, wanted.pop(seq))
    if not tree.size and flaw is None:
        flaw = "entry 1 is missing, and no other is there"
    tip = Checkpoint(origin, tree.size, tree.root()) if tree.size else None
    if flaw is None and tip:
        for left in wanted.values():
            rewritten |= _contradictions(tip, left)
    return Walk(tree.size, previous, tip, flaw, rewritten)


def _flaw(
    row: Any,  # noqa: ANN401
    seq: int,
    previous: bytes,
    further: Further,
) -> tuple[str | None, bytes]:
    """What is wrong with a row, and the hash of its body."""
    number, before, after, body = row[:4]
    if number != seq:
        return f"entry {seq} is missing, entry {number} follows", b""
    if before != previous:
        return "it does not hold the hash of the entry before", b""
    leaf = leaf_hash(body) if isinstance(body, bytes) else b""
    if after != entry_hash(previous, leaf):
        return "its content is not what its hash covers", b""
    try:
        record = json.loads(body.decode())
        return strangeness(record, seq) or further(row, record), leaf
    except NOT_OURS:
        return _STRANGE, b""


def strangeness(record: Mapping[str, Any], seq: int) -> str | None:
    """What is odd about the record of entry `seq`; may raise NOT_OURS."""
    if record.keys() != _KEYS or record["subject"].keys() != _SUBJECT_KEYS:
        return _STRANGE
    if type(record["seq"]) is not int or record["seq"] != seq:
        return "it says that it is another entry"
    if seq == 1 and record["action"] != Event.REGISTRY_CREATE:
        return "it is not the making of a registry, with which a ledger begins"
    return None


def _contradictions(ours: Checkpoint, theirs: Iterable[Checkpoint]) -> dict[int, str]:
    """What is wrong with this history in the eyes of some checkpoints, under their sizes."""
    return {each.size: _contradiction(ours, each) for each in theirs if each != ours}


def _contradiction(ours: Checkpoint, theirs: Checkpoint) -> str:
    if theirs.origin != ours.origin:
        return (
            f"entry 1 is not that of {theirs.origin}, of which the checkpoint of {theirs.size} "
            "entries was made: this is another registry, or its whole history was made anew"
        )
    if theirs.size > ours.size:
        gone = theirs.size - ours.size
        return f"the checkpoint knows {theirs.size} entries, of which the last {gone} are gone"
    return (
        f"the first {theirs.size} entries are not those of which the checkpoint was made: "
        "the history was made anew"
    )
