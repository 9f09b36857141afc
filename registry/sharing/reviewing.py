"""Review what is proposed to a patch: fetched beside the registry, compared, and accepted."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...patches.builds.staging import staged
from ...patches.digests import sha256
from ...patches.errors import NameRefused, WeightpatchError
from ...patches.evaluation.base import Evaluation
from ...patches.format.card import write_card
from ...patches.format.markdown import visible
from ...patches.format.patch import ATTESTATIONS, DELTA, MANIFEST, Patch
from ...patches.format.proposal import Compared
from ...patches.progress import Progress, silent
from ..attestations import Attestation
from ..errors import NameTooAlike, VersionClash
from ..ledger.events import Event
from ..registry import Registry, VersionInfo
from ..remotes.attestations import file_name
from ..remotes.base import Bundle, Pulled, Pushed, Remote, open_remote
from ..remotes.location import ProposalPlace, proposal_location, repository
from ..remotes.proposals import DRAFT, MERGED, OPEN, Candidate, Proposal
from ..transfers import PULL, remote_name
from .comparing import Measured, compared, measured
from .exchange import evaluations_of, is_recorded

PROPOSALS = "proposals"
"""The folder of the registry's home in which copies of proposals lie."""

_AUTHOR = 255


@dataclass(frozen=True)
class Review:
    """A proposal that was fetched, and the version that it would follow.

    `folder` is a copy that stays; the files of `patch` and `current` are this review's own.

    `newest` is the highest number at the remote, and `is_there` says whether the proposal is a
    version there already; `current` is the version there that it was compared with, None if there
    is no other one; `published` are the scores that came with the proposal, and `before` those that
    came with `current`.
    """

    place: ProposalPlace
    folder: Path
    candidate: Candidate
    newest: int
    is_there: bool
    current: Patch | None
    found: Compared | None
    published: Sequence[Measured]
    before: Sequence[Measured]

    @property
    def patch(self) -> Patch:
        """The version that is proposed."""
        return self.candidate.patch

    @property
    def hindrance(self) -> str | None:
        """Why it cannot be accepted as it is, if that is known already."""
        if self.candidate.besides:
            return "it changes files besides those of a version"
        number, label = self.patch.manifest.version, self.patch.label
        status = self.candidate.proposal.status
        if status == MERGED or self.is_there:
            return None
        if status != OPEN:
            return f"it is {'a draft' if status == DRAFT else status}"
        if number == self.newest + 1:
            return None
        return f"it is {label}, and the newest there is {self.newest}: it must be proposed again"


@dataclass(frozen=True)
class Merged:
    """What came of accepting a proposal: where the version is, and as what it is known here."""

    location: str
    revision: str | None
    already_there: bool
    version: VersionInfo


def waiting(place: ProposalPlace) -> list[Proposal]:
    """The proposals for a patch that wait to be accepted, newest first; raises RemoteError."""
    return open_remote(place.remote).proposals(place.name)


def overtaken(place: ProposalPlace, found: Sequence[Proposal]) -> set[int]:
    """Those of some proposals, by their numbers, whose text speaks of a version that is taken.

    Raises RemoteError.
    """
    numbered = {one.number: one.version for one in found if one.version is not None}
    newest = max(open_remote(place.remote).versions(place.name)) if numbered else 0
    return {number for number, version in numbered.items() if version <= newest}


def folder_of(home: Path, place: ProposalPlace) -> Path:
    """Where the copy of a proposal lies; those of other remotes have other names.

    Raises LimitExceeded, PathRefused.
    """
    whole = sha256(_location(place).encode())
    return home / PROPOSALS / place.name / f"pr-{place.number}-{whole[:12]}"


@contextmanager
def review(place: ProposalPlace, home: Path, *, progress: Progress = silent) -> Iterator[Review]:
    """Fetch a proposal into the registry's home, and compare it with the newest version there.

    It is no version of a registry, and its copy, which stays, takes the place of an older one. What
    it is compared with is gone after the block. Raises what the remote's `proposal` and `pull` do,
    NameRefused for a place without a number, and InputError for what cannot be read.
    """
    remote = open_remote(place.remote)
    copy = folder_of(home, place)
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "proposed")
        candidate = _fetched(remote, place, own, progress)
        _keep(own, copy)
        patch = candidate.patch
        numbers = remote.versions(place.name)
        is_there = _is_there(remote, place.name, numbers, patch)
        others = [one for one in numbers if not (is_there and one == patch.manifest.version)]
        pulled = _newest(remote, place.name, others, Path(folder, "current"), progress)
        current = pulled.patch if pulled else None
        yield Review(
            place,
            copy,
            candidate,
            max(numbers),
            is_there,
            current,
            compared(current, patch, progress) if current else None,
            measured(patch, candidate.attestations),
            measured(pulled.patch, pulled.attestations) if pulled else (),
        )


def record_review(registry: Registry, seen: Review, evaluations: Sequence[Evaluation] = ()) -> None:
    """Write down that a proposal was looked at, and what was found and measured here.

    Raises LimitExceeded, and InputError for what no ledger entry can hold.
    """
    proposal = seen.candidate.proposal
    detail = {
        "location": _location(seen.place),
        "revision": seen.candidate.revision,
        "author": visible(proposal.author, _AUTHOR),
        "status": proposal.status,
        "compared_with": seen.current.label if seen.current else None,
        "findings": seen.found.counts() if seen.found else {},
        "scores": {
            one.suite: {name: mean.after for name, mean in one.means().items()}
            for one in evaluations
        },
    }
    registry.record_proposal(Event.PROPOSAL_REVIEW, seen.patch.label, seen.patch.digest, detail)


def merge(
    registry: Registry,
    seen: Review,
    evaluations: Mapping[str, Sequence[Evaluation]] | None = None,
    *,
    languages: Sequence[str] = (),
) -> Merged:
    """Accept a proposal as it was reviewed, and take the version in; its copy is removed.

    One that is a version there already is taken in all the same, and what was not written down yet
    is.

    `evaluations` are those that were made here, by the fingerprint of their base, which is known
    here. Raises what the remote's `accept` does and, before anything is accepted, Yanked for a
    malicious version and what `Registry.admit` does.
    """
    patch, place = seen.patch, seen.place
    registry.require_usable([patch.digest, patch.manifest.files[DELTA].sha256])
    _require_admissible(registry, patch)
    name = remote_name(place.remote)
    languages = languages or registry.card_languages(patch.manifest.name)
    bundle = _bundle(seen, evaluations or {}, languages)
    pushed = open_remote(place.remote).accept(place.name, place.number or 0, bundle)
    if not pushed.already_there or not _is_accepted(registry, seen):
        _record_acceptance(registry, seen, pushed)
    version = _admitted(registry, patch, pushed.location)
    for one in evaluations_of(patch, seen.candidate.attestations)[0]:
        registry.record_evaluation(patch.digest, one.base, one.evaluation, origin=pushed.location)
    for base, found in (evaluations or {}).items():
        for evaluation in found:
            registry.record_evaluation(patch.digest, base, evaluation)
    is_news = version.is_new or not pushed.already_there
    if is_news or not is_recorded(registry, patch.digest, name):
        registry.record_transfer(
            patch.digest, PULL, name, place=pushed.location, revision=pushed.revision
        )
    shutil.rmtree(seen.folder, ignore_errors=True)
    return Merged(pushed.location, pushed.revision, pushed.already_there, version)


def _fetched(remote: Remote, place: ProposalPlace, folder: Path, progress: Progress) -> Candidate:
    """Fetch a proposal into a new `folder`, with the attestations beside it."""
    if place.number is None:
        raise NameRefused(f"{place} is no proposal", hint=f"name one, as in {place}/pr/7")
    folder.mkdir()
    candidate = remote.proposal(place.name, place.number, folder, progress=progress)
    _write_attestations(folder, candidate.attestations)
    return candidate


def _write_attestations(folder: Path, attestations: Mapping[str, bytes]) -> dict[str, Path]:
    """Write them beside a version; gives where each is, by its digest."""
    beside = folder / ATTESTATIONS
    if attestations:
        beside.mkdir(exist_ok=True)
    files = {digest: beside / file_name(digest) for digest in attestations}
    for digest, path in files.items():
        path.write_bytes(attestations[digest])
    return files


def _keep(folder: Path, copy: Path) -> None:
    """Give the registry's home a copy of what was fetched, in place of an older one.

    What looks at a proposal has files of its own: somebody else may fetch it again meanwhile.
    """
    copy.parent.mkdir(parents=True, exist_ok=True)
    with staged(copy, replace=True) as partial:
        shutil.copytree(folder, partial, dirs_exist_ok=True)


def _location(place: ProposalPlace) -> str:
    """How the place of a proposal is written down, however it was typed."""
    return proposal_location(remote_name(place.remote), place.name, place.number)


def _is_there(remote: Remote, name: str, numbers: Sequence[int], patch: Patch) -> bool:
    """Whether the one proposed is a version at the remote."""
    number = patch.manifest.version
    return number in numbers and remote.holds(name, number, patch.files[MANIFEST].read_bytes())


def _newest(
    remote: Remote, name: str, numbers: Sequence[int], folder: Path, progress: Progress
) -> Pulled | None:
    """The newest of some versions at the remote, None if there are none."""
    if not numbers:
        return None
    folder.mkdir()
    return remote.pull(name, max(numbers), folder, progress=progress)


def _require_admissible(registry: Registry, patch: Patch) -> None:
    """Raise what `Registry.admit` would, and say that nothing was accepted."""
    try:
        registry.require_admissible(patch)
    except WeightpatchError as error:
        if isinstance(error, (VersionClash, NameTooAlike)):
            error.hint = "nothing was changed; accept it from a registry that has no such version"
        error.message = (
            f"{patch.label} was not accepted, as this registry cannot take it in: {error.message}"
        )
        raise


def _bundle(
    seen: Review, evaluations: Mapping[str, Sequence[Evaluation]], languages: Sequence[str]
) -> Bundle:
    """The version with a card of our own: its author's could say anything.

    What was measured here stands in it before what came with the proposal.
    """
    own = [
        Attestation(seen.patch.digest, base, evaluation)
        for base, found in evaluations.items()
        for evaluation in found
    ]
    made = {one.digest: one.to_bytes() for one in own}
    scores = [*map(Measured.of, own), *seen.published]
    card = write_card(seen.patch, scores, languages, repository=repository(seen.place.remote))
    beside = seen.patch.files[MANIFEST].parent
    files = _write_attestations(beside, {**made, **seen.candidate.attestations})
    return Bundle(seen.patch, card, files)


def _record_acceptance(registry: Registry, seen: Review, pushed: Pushed) -> None:
    detail = {
        "location": _location(seen.place),
        "at": pushed.location,
        "revision": pushed.revision,
        "author": visible(seen.candidate.proposal.author, _AUTHOR),
        "already_there": pushed.already_there,  # by somebody else, or before a cut-off
    }
    registry.record_proposal(Event.PROPOSAL_ACCEPT, seen.patch.label, seen.patch.digest, detail)


def _is_accepted(registry: Registry, seen: Review) -> bool:
    """Whether the ledger has it that this proposal was accepted."""
    known = registry.proposals_recorded(Event.PROPOSAL_ACCEPT, seen.patch.digest)
    return _location(seen.place) in {one.detail.get("location") for one in known}


def _admitted(registry: Registry, patch: Patch, location: str) -> VersionInfo:
    try:
        return registry.admit(patch)
    except WeightpatchError as error:
        error.message = f"{location} is accepted, but is not in this registry: {error.message}"
        raise
