"""A version under another name or number: where it is proposed, or where its own was taken."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ...patches.format.card import write_card
from ...patches.format.patch import MANIFEST, Patch, content_digest
from ...patches.progress import Progress, silent
from ..attestations import Attestation
from ..errors import NotFound, VersionClash
from ..registry import Registry, VersionInfo
from ..remotes.base import Bundle, Plan, Pushed, Remote, open_remote
from ..remotes.catalogue import Glimpse
from ..remotes.errors import RemoteNotFound, RemoteRefused
from ..remotes.location import repository, without_revision
from ..transfers import remote_name
from .exchange import bundle_of, record_push, rehearse, send

TRIES = 5
"""How often one number is tried: who takes it may not have come to its tag yet."""
MOST_TRIES = 100
"""How often any number is tried."""


@dataclass(frozen=True)
class Renumbered:
    """A version that was pushed under the next number, and where it is now."""

    version: VersionInfo
    pushed: Pushed


def push_next(
    registry: Registry,
    reference: str,
    location: str,
    *,
    public: bool = False,
    languages: Sequence[str] = (),
    progress: Progress = silent,
) -> Renumbered:
    """Push a version; if its number is taken there, or passed, under the next that is free.

    That is a new version, here too, with the scores of the one that it was made from, which keeps
    its number and stands among the parents. It is taken in when it is there: if somebody else is
    faster, `TRIES` times, the next number is tried. Done again it is the same one. Raises as
    `push`, and RemoteRefused if the newest there, of somebody else, does the very same.
    """
    remote_name(location)
    own = registry.resolve(reference)
    clashes: Counter[int] = Counter()
    while True:
        with _next(registry, own, location, languages) as bundle:
            try:
                return _sent(registry, own, bundle, location, public=public, progress=progress)
            except VersionClash:
                clashes[bundle.version] += 1
                if clashes[bundle.version] == TRIES or clashes.total() == MOST_TRIES:
                    raise


def plan_next(
    registry: Registry,
    reference: str,
    location: str,
    *,
    public: bool = False,
    languages: Sequence[str] = (),
) -> tuple[str, Plan]:
    """Say what `push_next` would do, and under which label; changes nothing, raises as that."""
    own = registry.resolve(reference)
    with _next(registry, own, location, languages) as bundle:
        return bundle.label, rehearse(registry, bundle, location, public=public)


def numbered(patch: Patch, name: str, version: int, folder: Path) -> Patch:
    """The version under another name and number, its manifest in `folder`; itself, if it has these.

    The version that it was made from is among its parents.
    """
    manifest = patch.manifest
    if (manifest.name, manifest.version) == (name, version):
        return patch
    parents = tuple(dict.fromkeys([*manifest.parents, patch.digest]))
    renumbered = replace(manifest, name=name, version=version, parents=parents)
    (folder / MANIFEST).write_bytes(renumbered.to_bytes())
    return Patch.from_files({**patch.files, MANIFEST: folder / MANIFEST})


def renumbered_bundle(
    registry: Registry,
    patch: Patch,
    renumbered: Patch,
    folder: Path,
    *,
    remote: str,
    languages: Sequence[str],
) -> Bundle:
    """A version under its new name and number, with its scores said of its new digest."""
    bundle = bundle_of(registry, patch, remote, languages)
    if renumbered.digest == patch.digest:
        return bundle
    evaluations = registry.evaluations(patch.digest)
    attestations = {}
    for one in evaluations:
        attestation = Attestation.from_bytes(one.path.read_bytes())
        data = replace(attestation, version=renumbered.digest)
        attestations[data.digest] = folder / f"{data.digest}.json"
        attestations[data.digest].write_bytes(data.to_bytes())
    card = write_card(renumbered, evaluations, bundle.languages, repository=repository(remote))
    return replace(bundle, patch=renumbered, card=card, attestations=attestations)


def _sent(
    registry: Registry,
    own: VersionInfo,
    bundle: Bundle,
    location: str,
    *,
    public: bool,
    progress: Progress,
) -> Renumbered:
    """Send a version, and take it in if it is a new one; raises as `push_next`."""
    is_new = bundle.patch.digest != own.digest
    if is_new:
        registry.require_admissible(bundle.patch)
    pushed = send(registry, bundle, location, public=public, progress=progress)
    version = _taken_in(registry, own, bundle.patch) if is_new else own
    record_push(registry, bundle, location, pushed)
    return Renumbered(version, pushed)


@contextmanager
def _next(
    registry: Registry, own: VersionInfo, location: str, languages: Sequence[str]
) -> Iterator[Bundle]:
    """A version as it is to be sent, renumbered or not, for as long as the block lasts."""
    patch = registry.patch(f"sha256:{own.digest}")
    there, number, same = None, own.version, False
    if location == without_revision(location):
        there = _in_the_way(open_remote(location), patch)
    if there is not None:
        same = content_digest(there.manifest) == content_digest(patch.manifest)
        newest = there.manifest.version
        number = newest if same else _free(registry, patch, newest + 1)
    with tempfile.TemporaryDirectory() as folder:
        new = numbered(patch, own.name, number, Path(folder))
        if there is not None and same and new.digest != there.digest:
            raise RemoteRefused(
                f"{there.manifest.label} at {location} does what {own.label} does",
                why="delta, requests and base are the same, byte for byte",
                hint=f"nothing was sent; pull {there.location} to have it under that number",
            )
        yield renumbered_bundle(
            registry, patch, new, Path(folder), remote=location, languages=languages
        )


def _in_the_way(remote: Remote, patch: Patch) -> Glimpse | None:
    """The newest version there, if it is why a version cannot be pushed under its own number."""
    name, number = patch.manifest.name, patch.manifest.version
    try:
        there = remote.look(name)
    except RemoteNotFound:
        return None
    manifest = patch.files[MANIFEST].read_bytes()
    is_there = number in there.versions and remote.holds(name, number, manifest)
    return None if is_there or there.manifest.version < number else there


def _free(registry: Registry, patch: Patch, number: int) -> int:
    """The first number from this one on that is free here, or that this content has already."""
    while True:
        try:
            known = registry.resolve(f"{patch.manifest.name}@{number}", to_read=True)
        except NotFound:
            return number
        if not (known.standing and known.standing.deleted):
            held = registry.patch(f"sha256:{known.digest}", to_read=True).manifest
            if content_digest(held) == content_digest(patch.manifest):
                return number
        number += 1


def _taken_in(registry: Registry, old: VersionInfo, new: Patch) -> VersionInfo:
    """The new version, in the registry with the scores of the old one."""
    version = registry.admit(new)
    for one in registry.evaluations(old.digest):
        found = Attestation.from_bytes(one.path.read_bytes())
        registry.record_evaluation(version.digest, found.base, found.evaluation, origin=one.origin)
    return version
