"""The ledger of a synthetic registry, and what stands under the numbers of its entries."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weightpatch.patches.format import jsonfile
from weightpatch.registry.database import schema
from weightpatch.registry.ledger.chain import columns, entry_hash
from weightpatch.registry.ledger.events import Event
from weightpatch.registry.ledger.merkle import leaf_hash

from . import words
from .bases import all_bases
from .population import Population
from .versions import SUITE, Rows, attestation, author_name, digest_of

TOOL = "weightpatch 0.1.0"
YANKED = 200
"""One of so many versions is yanked."""

ALIASED = 50
"""To one of so many versions the alias `stable` of its patch moves, unless it is yanked."""

YANK = {"state": "yanked", "severity": "minor", "reason": "a better one"}
ALIAS, TRIED = "stable", "tried for a week"

_COLUMNS = tuple(column.name for column in schema.ledger.columns)[4:]


class Chronicle:
    """Appends entries to a chain that begins with the last entry of a new registry."""

    def __init__(self, of: Population, seq: int, head: bytes) -> None:
        self._of = of
        self._seq = seq
        self._head = head
        self._stable: dict[int, int] = {}
        self._fingerprints = [one.fingerprint for one in all_bases()]

    @property
    def entries(self) -> int:
        """How many entries the ledger has."""
        return self._seq

    def rows(self, start: int, times: Sequence[str]) -> Rows:
        """Entries about the versions from a place on, one version a time, and their consequences.

        Those of a version come at its time: published, evaluated, perhaps yanked, perhaps what an
        alias now means.
        """
        rows: Rows = defaultdict(list)
        for place, time in enumerate(times, start):
            for action, detail, actor in self._events(place):
                label = self._of.label(place)
                rows["ledger"].append(
                    self._entry(time, actor, action, label, digest_of(place), detail)
                )
                self._consequence(action, place, rows)
        return rows

    def _events(self, place: int) -> Iterator[tuple[Event, Mapping[str, Any], str]]:
        of = self._of
        actor = f"user{of.author[place] % 50}"
        subject = of.subject(place)
        yield (
            Event.VERSION_PUBLISH,
            {
                "method": words.METHODS[of.method[place]],
                "author": author_name(int(of.author[place])),
                "message": words.message(of.relation[place], subject, int(of.ticket[place])),
            },
            actor,
        )
        if of.scored[place]:
            known = {"suite": SUITE, "attestation": attestation(place), "origin": "here"}
            base = self._fingerprints[of.base[place]]
            yield Event.VERSION_EVALUATE, {"base": base, **known}, actor
        if place % YANKED == YANKED - 1:
            yield Event.VERSION_YANK, YANK, "keeper"
        elif place % ALIASED == ALIASED - 1:
            before = self._stable.get(int(of.patch[place]))
            ends = {"from": None if before is None else of.label(before), "to": of.label(place)}
            alias = f"{of.patch_name(int(of.patch[place]))}@{ALIAS}"
            yield Event.ALIAS_MOVE, {"alias": alias, "reason": TRIED, **ends}, "keeper"

    def _consequence(self, action: Event, place: int, rows: Rows) -> None:
        if action is Event.VERSION_YANK:
            rows["standing"].append((self._seq, place + 1, *YANK.values()))
        if action is Event.ALIAS_MOVE:
            patch = int(self._of.patch[place])
            before = self._stable.get(patch)
            self._stable[patch] = place
            row = None if before is None else before + 1
            rows["alias_move"].append((self._seq, patch + 1, ALIAS, row, place + 1, TRIED))

    def _entry(
        self,
        time: str,
        actor: str,
        action: Event,
        label: str,
        digest: str,
        detail: Mapping[str, Any],
    ) -> tuple[Any, ...]:
        self._seq += 1
        record = {
            "seq": self._seq,
            "time": time,
            "actor": actor,
            "action": action.value,
            "subject": {"label": label, "digest": digest},
            "detail": detail,
            "tool": TOOL,
        }
        body = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        if self._seq < FIRST_CHECKED and body != jsonfile.canonical(record, what="an entry"):
            raise ValueError("the entry is not canonical JSON")
        previous, self._head = self._head, entry_hash(self._head, leaf_hash(body))
        repeated = columns(record)
        return (
            self._seq,
            previous,
            self._head,
            body,
            *(repeated[column] for column in _COLUMNS),
        )


FIRST_CHECKED = 1_000
"""Below this number the quick way to write an entry is compared with the package's own."""
