"""The registry's verbs for its ledger: what was done, and proof that nobody wrote it anew."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from .ledger import entries, history, verification
from .ledger.checkpoints import Checkpoint
from .ledger.entries import Filter, LedgerEntry
from .ledger.proofs import EntryProof, GrowthProof
from .ledger.verification import LedgerReport
from .store import Store
from .versions import resolving
from .versions.refs import ByName, parse


class Audit:
    """What a `Registry` says about its own past."""

    _store: Store

    def log(
        self,
        *,
        reference: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[LedgerEntry]:
        """Entries of the ledger, the newest first, those below number `before`.

        `reference` narrows them to one version or, if it is a name alone, to all versions of the
        patch; `actor` and `action` to those that say so; `since` and `until` to those in between,
        both included, to the second, by the clocks of those who wrote them. A page has at most
        1,000; the next begins below the number of this page's last entry. Raises what `resolve`
        does, and InputError for a time without a time zone, or an action that there is not.
        """
        with self._store.database.reading() as connection:
            patch = digest = None
            if reference is not None:
                meant = parse(reference)
                if isinstance(meant, ByName) and meant.number is None and meant.alias is None:
                    resolving.patch_row(connection, meant)
                    patch = meant.full_name
                else:
                    digest = resolving.resolve(connection, reference, to_read=True).digest
            wanted = Filter.of(patch, digest, actor, action, since, until)
            return entries.read(connection, wanted, before=before, limit=limit)

    def checkpoint(self) -> Checkpoint:
        """The Merkle root over all entries: keep its text elsewhere, to verify the ledger later.

        Reads every entry. Raises DatabaseFailed for a ledger with a gap: verify it first.
        """
        with self._store.database.reading() as connection:
            return history.checkpoint(connection)

    def verify_ledger(self, checkpoints: Iterable[Checkpoint] = ()) -> LedgerReport:
        """Recompute the ledger's chain, and see whether the database still guards it.

        Also that it continues each of the checkpoints, which alone shows a cut tail or a history
        that was made anew as a whole; and that the rows on aliases, yanks, builds and transfers are
        those that the entries speak of. `ok` says whether all is well, `flaw` in words what is not:
        see LedgerReport. Reads every entry.
        """
        with self._store.database.reading() as connection:
            return verification.verify(connection, checkpoints)

    def prove(self, seq: int, size: int | None = None) -> EntryProof:
        """That entry `seq` is among the first `size`, or among all; raises NotFound.

        Whoever holds the checkpoint of that size can check it without the registry.
        """
        with self._store.database.reading() as connection:
            return history.prove(connection, seq, size)

    def prove_growth(self, old_size: int, size: int | None = None) -> GrowthProof:
        """That the first `old_size` entries are still the first of `size`, or of all.

        Whoever holds the checkpoints of both sizes can check it without the registry. Raises
        NotFound.
        """
        with self._store.database.reading() as connection:
            return history.prove_growth(connection, old_size, size)

    def export_ledger(self) -> Iterator[bytes]:
        """Every entry as a line of canonical JSON, as `verify_export` reads it; see docs/ledger.md.

        Raises DatabaseFailed for an entry that cannot be written so.
        """
        with self._store.database.reading() as connection:
            yield from history.export(connection)
