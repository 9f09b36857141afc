"""The registry's verbs for the life of a version: aliases, yanks, deletions, builds, remotes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from . import builds, named_remotes, transfers
from .builds import BuildInfo
from .ledger import entries
from .ledger.entries import Filter, LedgerEntry, Subject
from .ledger.events import Event
from .named_remotes import NamedRemote
from .store import Store
from .transfers import Exchange, TransferInfo
from .versions import aliases, holding, resolving, standing, withdrawing
from .versions.aliases import AliasMove
from .versions.reading import VersionInfo
from .versions.standing import Malicious


class Life:
    """What a `Registry` can do with a version once it came in."""

    _store: Store

    @property
    def actor(self) -> str:
        """Who is acting, as the ledger names them."""
        return self._store.ledger.actor

    @property
    def time(self) -> str:
        """The present, as the ledger spells it."""
        return self._store.ledger.time()

    def require_usable(self, digests: Iterable[str]) -> None:
        """Raise Yanked if one of these versions, or one that is in them, is malicious.

        `digests` are sha256 in full, such as that of a patch in a folder and those of the versions
        in it; a version that is not in the registry is no reason to refuse anything.
        """
        with self._store.database.reading() as connection:
            standing.require_usable(connection, digests)

    def malicious(self, digests: Iterable[str]) -> list[Malicious]:
        """Which of these versions, and of those that are in them, are malicious.

        `digests` are those of `require_usable`, which raises Yanked for what this gives.
        """
        with self._store.database.reading() as connection:
            return standing.malicious(connection, digests)

    def holders(self, reference: str) -> list[VersionInfo]:
        """The compositions that a version is in, also through others, 1,000 at most, newest first.

        Raises what `resolve` does.
        """
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, reference, to_read=True)
            return holding.holders(connection, info.digest)

    def move_alias(
        self, alias: str, reference: str | None, *, reason: str = "", expect: str | None = None
    ) -> AliasMove:
        """Let `namespace/name@alias` mean another version of the patch, or none.

        With `expect`, only if it means that reference now, or nothing if it is "none", so that of
        two people who move it at once the second one hears of it. Where it is already, it stays,
        without an entry. Raises AliasHeld, ReferenceRefused, InputError, and what `resolve` does.
        """
        return aliases.move(self._store, alias, reference, reason=reason, expect=expect)

    def aliases(self, name: str) -> Mapping[str, VersionInfo]:
        """The aliases of `namespace/name`, as in `stable`, each with the version that it means.

        Raises NotFound, ReferenceRefused, NameRefused.
        """
        with self._store.database.reading() as connection:
            return aliases.current(connection, name)

    def alias_moves(
        self, reference: str, *, before: int | None = None, limit: int = 50
    ) -> list[AliasMove]:
        """Moves of `namespace/name@alias`, or of all aliases of `namespace/name`, newest first.

        Those below ledger entry `before`, 1,000 at most. Raises NotFound, ReferenceRefused,
        NameRefused.
        """
        with self._store.database.reading() as connection:
            return aliases.moves(connection, reference, before=before, limit=limit)

    def alias_at(self, alias: str, time: datetime) -> VersionInfo | None:
        """The version that `namespace/name@alias` meant at a time, or None if it meant none then.

        Times are those of the clocks of the people who moved it. Raises NotFound for an alias that
        never was, InputError for a time without a time zone, ReferenceRefused, NameRefused.
        """
        with self._store.database.reading() as connection:
            return aliases.at(connection, alias, time)

    def yank(self, reference: str, *, reason: str, severity: str = "major") -> VersionInfo:
        """Warn of a version: no name alone and no alias means it any more.

        `severity` is "minor", "major", or "malicious": then nobody can use it, whatever they call
        it. `reference` is a number or a digest. Raises AliasHeld unless it is malicious, Deleted,
        InputError, and what `resolve` does.
        """
        return withdrawing.yank(self._store, reference, reason=reason, severity=severity)

    def delete(self, reference: str, *, reason: str) -> VersionInfo:
        """Take a version away; its number, digest and the reason stay, its files are collected.

        What it holds cannot come in again. Raises AliasHeld, InputError, and what `resolve` does.
        """
        return withdrawing.delete(self._store, reference, reason=reason)

    def restore(self, reference: str, *, reason: str, state: str | None = None) -> VersionInfo:
        """Take the last yank or delete back: the version stands where it stood before.

        With `state`, "yanked" or "deleted", only if that is where it stands now. A version that
        nobody yanked or deleted stays as it is. Raises InputError, and what `resolve` does.
        """
        return withdrawing.restore(self._store, reference, reason=reason, state=state)

    def record_build(self, location: str, base: str, versions: Sequence[Subject]) -> BuildInfo:
        """Write down that versions, each with label and digest, were applied to a base.

        `location` is the build's folder, `base` the id of what it was made from. Each version's log
        has it. Raises LimitExceeded, InputError; ValueError for no version, or one without digest.
        """
        return builds.record(self._store, location, base, versions)

    def record_revert(self, label: str, digest: str, location: str) -> None:
        """Write down that a version was taken out of the build in the folder `location` again.

        Raises LimitExceeded, DatabaseFailed for a digest that is none.
        """
        detail = {"out": location}
        with self._store.database.writing() as connection:
            subject = Subject(label, digest)
            self._store.ledger.append(connection, Event.BUILD_REVERT, subject, detail)

    def record_proposal(
        self, action: Event, label: str, digest: str, detail: Mapping[str, object]
    ) -> None:
        """Write down that a version was proposed at a remote, reviewed or accepted there.

        Neither it nor its patch needs to be known here. Raises LimitExceeded, ManifestError, and
        ValueError for another action.
        """
        if action not in (Event.PROPOSAL_OPEN, Event.PROPOSAL_REVIEW, Event.PROPOSAL_ACCEPT):
            raise ValueError(f"{action} does not happen to a proposal")
        with self._store.database.writing() as connection:
            self._store.ledger.append(connection, action, Subject(label, digest), detail)

    def proposals_recorded(self, action: Event, digest: str) -> list[LedgerEntry]:
        """What was written down of a proposed version, newest first, 1,000 entries at most."""
        wanted = Filter(digest=digest, action=action)
        with self._store.database.reading() as connection:
            return entries.read(connection, wanted, limit=entries.MAX_PAGE)

    def builds(self, reference: str, *, limit: int = 50) -> list[BuildInfo]:
        """The builds that a version went into, itself or in a composition, the newest first.

        At most 1,000; `through` names the compositions. Raises what `resolve` does.
        """
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, reference, to_read=True)
            return builds.of_version(connection, info.digest, limit)

    def record_transfer(
        self,
        digest: str,
        direction: str,
        remote: str,
        *,
        place: str,
        revision: str | None,
        languages: Sequence[str] = (),
    ) -> None:
        """Write down a "push" or "pull" of the version with this digest.

        `place` is where at the remote it lies, `languages` those that its card there names. Raises
        NotFound, LimitExceeded, InputError; ValueError for another direction.
        """
        transfers.record(self._store, digest, direction, remote, place, revision, languages)

    def card_languages(self, name: str) -> tuple[str, ...]:
        """The languages that the card of a patch was last pushed with from here."""
        with self._store.database.reading() as connection:
            return transfers.last_languages(connection, name)

    def transfers(self, reference: str, *, limit: int = 50) -> list[TransferInfo]:
        """Where a version went and came from, newest first; raises what `resolve` does."""
        with self._store.database.reading() as connection:
            info = resolving.resolve(connection, reference, to_read=True)
            return transfers.of_version(connection, info.digest, limit)

    def exchanges(self, name: str | None = None) -> list[Exchange]:
        """The remotes of a patch, or of all patches, the last used first."""
        with self._store.database.reading() as connection:
            return transfers.of_patches(connection, name)

    def add_remote(self, name: str, location: str) -> NamedRemote:
        """Let a name mean a location: `hf://`, `hf://namespace/name`, or a folder.

        A folder is kept with its full path. Where the name means it already, nothing is written.
        Raises TargetExists if it means another one, NameRefused, PathRefused, PluginMissing,
        LimitExceeded, InputError.
        """
        return named_remotes.add(self._store, name, location)

    def remove_remote(self, name: str) -> NamedRemote:
        """Take the name of a remote away, and give what it meant; raises NotFound."""
        return named_remotes.remove(self._store, name)

    def remotes(self) -> list[NamedRemote]:
        """The names of remotes, each with its location, and who gave it when."""
        with self._store.database.reading() as connection:
            return named_remotes.current(connection)

    def remote_at(self, text: str) -> str:
        """The location that a text means: that of a name, or the text where it is one itself.

        One word is a name, or else a folder that is there; with a slash in it, it is no name.
        Raises NotFound.
        """
        with self._store.database.reading() as connection:
            return named_remotes.at(connection, text)
