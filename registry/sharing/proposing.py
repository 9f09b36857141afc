"""Propose a version to somebody else's patch: numbered, scored and compared with what is there."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ...patches.errors import NameRefused
from ...patches.format.names import quoted
from ...patches.format.patch import Patch, content_digest
from ...patches.format.proposal import Compared, Side, proposal_page, proposal_title
from ...patches.progress import Progress, silent
from ..ledger.entries import writable
from ..ledger.events import Event
from ..registry import Registry, VersionInfo
from ..remotes.base import Bundle, Pulled, Remote, open_remote
from ..remotes.errors import RemoteNotFound, RemoteRefused
from ..remotes.folder.remote import FolderRemote
from ..remotes.location import (
    HUB,
    ON_HUB,
    ProposalPlace,
    parse_location,
    parse_proposal,
    scheme,
    tagged_version,
    without_revision,
)
from ..remotes.proposals import Proposed, Text
from .comparing import compared, measured
from .renumbering import numbered, renumbered_bundle


@dataclass(frozen=True)
class Offer:
    """A version as it is, or would be, proposed; `proposed` is None if it was not sent.

    `label` and `digest` are those that it would have, `current` is the version that it follows.
    """

    place: str
    label: str
    digest: str
    current: str
    text: Text
    found: Compared
    proposed: Proposed | None = None


@dataclass(frozen=True)
class _Prepared:
    offer: Offer
    bundle: Bundle
    remote: Remote


def propose(
    registry: Registry,
    reference: str,
    location: str,
    *,
    note: str = "",
    languages: Sequence[str] = (),
    progress: Progress = silent,
) -> Offer:
    """Offer a version to the patch at `location`, under the number after its newest.

    `location` is `hf://`, `hf://namespace/name`, a folder, or `FOLDER/namespace/name`; it names the
    patch if that is called otherwise than the version. `note` is said to whoever keeps it. What is
    proposed there already is not proposed again, and written down if it was not yet. Raises what
    `Registry.patch` and the remote's `pull` and `propose` do, RemoteRefused if the newest there
    holds this very content, NameRefused.
    """
    own = registry.resolve(reference)
    with _prepared(registry, own, location, note, languages, progress) as made:
        proposed = made.remote.propose(made.bundle, made.offer.text, progress=progress)
    if not proposed.already_there or not _is_recorded(registry, own, proposed):
        detail = {
            "location": proposed.location,
            "revision": proposed.revision,
            "version": made.offer.label,
            "proposed": made.offer.digest,
        }
        registry.record_proposal(Event.PROPOSAL_OPEN, own.label, own.digest, detail)
    return replace(made.offer, proposed=proposed)


def plan(
    registry: Registry,
    reference: str,
    location: str,
    *,
    note: str = "",
    languages: Sequence[str] = (),
    progress: Progress = silent,
) -> Offer:
    """Say what `propose` would send, and change nothing here or there; raises as `propose`."""
    own = registry.resolve(reference)
    with _prepared(registry, own, location, note, languages, progress) as made:
        return made.offer


def target(location: str, name: str) -> ProposalPlace:
    """The patch at `location` that a version of the patch `name` is proposed to.

    Raises NameRefused for a location with a revision, PathRefused.
    """
    if scheme(location) == HUB:
        place = parse_location(location)
        if place.revision is not None:
            raise NameRefused(
                f"{quoted(location)} is one version of a patch, and proposed is the next one",
                hint=f"write {without_revision(location)}",
            )
        return ProposalPlace(location, place.name or name, None)
    if scheme(location) is not None:
        return ProposalPlace(location, name, None)
    folder = FolderRemote.open(location).root
    own = ProposalPlace(str(folder), name, None)
    if (folder / name).is_dir() or not _has_versions(folder):
        return own
    try:
        return parse_proposal(str(folder))
    except NameRefused:
        return own


@contextmanager
def _prepared(
    registry: Registry,
    own: VersionInfo,
    location: str,
    note: str,
    languages: Sequence[str],
    progress: Progress,
) -> Iterator[_Prepared]:
    """What is to be sent, for as long as the block lasts."""
    patch = registry.patch(f"sha256:{own.digest}")
    place = target(location, patch.manifest.name)
    remote = open_remote(place.remote)
    newest = max(_versions(remote, place, patch))
    with tempfile.TemporaryDirectory() as folder:
        there, new = Path(folder) / "current", Path(folder) / "new"
        there.mkdir()
        new.mkdir()
        pulled = remote.pull(place.name, newest, there, progress=progress)
        current = pulled.patch
        if content_digest(current.manifest) == content_digest(patch.manifest):
            raise RemoteRefused(
                f"{current.label} at {place} holds what {patch.label} does",
                why="delta, requests and base are the same, byte for byte",
                hint="there is nothing to propose",
            )
        proposed = numbered(patch, place.name, newest + 1, new)
        bundle = renumbered_bundle(
            registry, patch, proposed, new, remote=place.remote, languages=languages
        )
        yield _Prepared(
            _offer(registry, place, patch, pulled, bundle, note, progress), bundle, remote
        )


def _offer(
    registry: Registry,
    place: ProposalPlace,
    patch: Patch,
    pulled: Pulled,
    bundle: Bundle,
    note: str,
    progress: Progress,
) -> Offer:
    current, proposed = pulled.patch, bundle.patch
    found = compared(current, proposed, progress)
    made_from = None if patch.digest == proposed.digest else f"{patch.label}, sha256:{patch.digest}"
    page = proposal_page(
        Side(current, measured(current, pulled.attestations)),
        Side(proposed, registry.evaluations(patch.digest)),
        found,
        place=str(place) if scheme(place.remote) == HUB else f"FOLDER/{place.name}",
        made_from=made_from,
        note=note,
    )
    text = Text(proposal_title(proposed), page, registry.actor, registry.time)
    return Offer(str(place), proposed.label, proposed.digest, current.label, text, found)


def _versions(remote: Remote, place: ProposalPlace, patch: Patch) -> list[int]:
    try:
        return remote.versions(place.name)
    except RemoteNotFound as error:
        own = place.name == patch.manifest.name
        named = f"{ON_HUB}namespace/name, or FOLDER/namespace/name"
        raise RemoteNotFound(
            f"there is no {place.name} at {place.remote} to propose {patch.label} to",
            why=error.message,
            hint=f"name the patch that it is for: {named}"
            + (
                f"; a patch of your own is not proposed: weightpatch push {place.name}"
                if own
                else ""
            ),
        ) from None


def _is_recorded(registry: Registry, own: VersionInfo, proposed: Proposed) -> bool:
    """Whether the ledger has it that a version was proposed there."""
    known = registry.proposals_recorded(Event.PROPOSAL_OPEN, own.digest)
    return writable(proposed.location) in {one.detail.get("location") for one in known}


def _has_versions(folder: Path) -> bool:
    return folder.is_dir() and any(
        tagged_version(entry.name) is not None for entry in folder.iterdir()
    )
