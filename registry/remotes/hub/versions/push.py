"""Push to the Hub: decide, one commit, compare what is there, then the tag.

The tag comes last, so a version that can be pulled is one that was compared. Whatever cuts a push
off, the next one finds how far it came and finishes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .....patches.errors import DigestMismatch
from .....patches.format.patch import CARD, MANIFEST
from .....patches.progress import Progress
from ... import attestations as attested
from ...base import Bundle, Pushed, clash
from ...errors import RemoteNotFound, RemoteRefused
from ...location import evaluations_branch, tag
from ..asking.retrying import deciding
from ..files.parcel import Parcel, is_attestation
from ..repository.listed import Listed
from ..repository.repository import MAIN, Refs, Repository
from .history import find_commit
from .main_branch import main_head, require_harmless, root_manifest


@dataclass(frozen=True)
class Push:
    """One version on its way into one repository."""

    repository: Repository
    bundle: Bundle
    private: bool
    progress: Progress

    def run(self) -> Pushed:
        """Put it there; if somebody else writes meanwhile, look again and decide again."""
        return deciding(self._decide, progress=self.progress)

    @cached_property
    def _parcel(self) -> Parcel:
        return Parcel(self.bundle)

    def _decide(self) -> Pushed:
        refs, listed = self._look()
        location = f"{self.repository.place}@{tag(self.bundle.version)}"
        commit = refs.versions.get(self.bundle.version)
        if commit is None:
            return Pushed(location, self._publish(refs, listed), already_there=False)
        listed = self.repository.listing(commit)
        self._check_there(listed)
        added = self._add_late(refs, commit, listed)
        return Pushed(location, commit, already_there=True, attestations_added=added)

    def _look(self) -> tuple[Refs, Mapping[str, Listed] | None]:
        """What is there; of a repository made for this, which has no version, the files too."""
        self._parcel.check()
        try:
            return self.repository.refs(), None
        except RemoteNotFound:
            self.repository.create(private=self.private)
            head, listed = self.repository.head(MAIN)
            return Refs({}, {MAIN: head}), listed

    def _publish(self, refs: Refs, listed: Mapping[str, Listed] | None) -> str:
        """Commit, compare and tag; a commit that is there already is not made again."""
        head = main_head(self.repository, refs)
        if listed is None:
            listed = self.repository.listing(head)
        newest = self._check_root(refs, head, listed)
        if newest > self.bundle.version:
            return self._tag_below(newest)
        changed = self._parcel.missing(listed)
        stale = self._parcel.stale(listed)
        if changed or stale:
            head = self._parcel.send(
                self.repository,
                changed,
                delete=stale,
                parent=head,
                branch=MAIN,
                progress=self.progress,
            )
        self.repository.tag(tag(self.bundle.version), head)
        return head

    def _tag_below(self, newest: int) -> str:
        """Tag the commit of a push that was cut off before somebody pushed a newer version."""
        commit = find_commit(self.repository, self._parcel)
        if commit is None:
            raise RemoteRefused(
                f"{self.repository.place} is at version {newest} already",
                why="the newest version lies at the root of the repository",
                hint=f"push versions in their order; {self.bundle.label} cannot go below it",
            )
        self.repository.tag(tag(self.bundle.version), commit)
        return commit

    def _check_root(self, refs: Refs, head: str, listed: Mapping[str, Listed]) -> int:
        """The newest version there; raises if this one may not take the main branch's place."""
        newest = max(refs.versions, default=0)
        if MANIFEST not in listed:
            require_harmless(self.repository, listed)
        elif MANIFEST in self._parcel.missing(listed) and head not in refs.versions.values():
            manifest = root_manifest(self.repository, head)
            if manifest.version == self.bundle.version:
                raise clash(self.repository.place, self.bundle)
            newest = max(newest, manifest.version)
        return newest

    def _check_there(self, listed: Mapping[str, Listed]) -> None:
        missing = self._parcel.missing(listed)
        if MANIFEST in missing:
            raise clash(self.repository.place, self.bundle)
        for path in self.bundle.records():
            if path in missing:
                raise DigestMismatch(
                    f"{path} of {self.bundle.label} at {self.repository.place} "
                    "is not what was published",
                    why="the tag was moved to a commit that somebody changed",
                    hint="tell whoever pulls from there",
                )

    def _add_late(self, refs: Refs, commit: str, listed: Mapping[str, Listed]) -> int:
        """Commit attestations that came after the version to a branch beside its tag."""
        late = [path for path in self._parcel.missing(listed) if is_attestation(path)]
        if not late:
            return 0
        branch = evaluations_branch(self.bundle.version)
        if branch not in refs.branches:
            self.repository.branch(branch, commit)
        parent = refs.branches.get(branch, commit)
        listed = self.repository.listing(parent)
        new = [path for path in self._parcel.missing(listed) if is_attestation(path)]
        attested.read_names(Path(path).name for path in {*filter(is_attestation, listed), *new})
        if new:
            self._parcel.send(
                self.repository,
                [*new, CARD],
                parent=parent,
                branch=branch,
                progress=self.progress,
            )
        return len(new)
