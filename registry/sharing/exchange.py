"""Push and pull: what lies between the registry and a remote."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ...patches.errors import DigestMismatch, InputError
from ...patches.format.card import write_card
from ...patches.format.patch import MANIFEST, Patch
from ...patches.progress import Progress, silent
from .. import bounds
from ..attestations import Attestation
from ..errors import BlobLost, NotFound, ReferenceRefused, VersionClash
from ..registry import Registry, VersionInfo
from ..remotes.base import Bundle, Plan, Pushed, Remote, open_remote
from ..remotes.location import (
    HUB,
    folder_path,
    parse_location,
    repository,
    scheme,
    site,
    tagged_version,
)
from ..transfers import MAX_TRANSFERS, PULL, PUSH, remote_name
from ..versions.refs import ByName, parse
from .clashes import admitted, clash_told
from .seen import refuse_older, require_known_folder


@dataclass(frozen=True)
class Fetched:
    """A version that was pulled; evaluations that are not about it are named in `ignored`.

    `location` is where it was found, of one that `pull_all` had no need to fetch the remote;
    `revision` is the name that its state has there, if it has one; `evaluations` counts those that
    came with it.
    """

    version: VersionInfo
    evaluations: int
    ignored: tuple[str, ...]
    location: str
    revision: str | None


def push(
    registry: Registry,
    reference: str,
    location: str,
    *,
    public: bool = False,
    languages: Sequence[str] = (),
    progress: Progress = silent,
) -> Pushed:
    """Send a version with its card and evaluations; what is there already stays as it is.

    A repository that has to be made is private unless it shall be `public`; `languages` are the
    codes that the card names, without any those of the last push of the patch. What is there
    already is written down if nothing says that it ever went there or came from there, as after a
    push that was cut off. Raises what `Registry.patch` and the remote's `push` do; Yanked for a
    malicious version, NameRefused for a code that is none.
    """
    remote_name(location)
    bundle = bundle_of(registry, registry.patch(reference), location, languages)
    pushed = send(registry, bundle, location, public=public, progress=progress)
    record_push(registry, bundle, location, pushed)
    return pushed


def send(
    registry: Registry,
    bundle: Bundle,
    location: str,
    *,
    public: bool = False,
    progress: Progress = silent,
) -> Pushed:
    """Send what `push` or `push_next` have made up, and write nothing down; raises as these."""
    with _target(registry, bundle, location, public=public) as remote:
        return remote.push(bundle, progress=progress)


def rehearse(registry: Registry, bundle: Bundle, location: str, *, public: bool = False) -> Plan:
    """Say what `send` would do; raises as that."""
    with _target(registry, bundle, location, public=public) as remote:
        return remote.plan(bundle)


def record_push(registry: Registry, bundle: Bundle, location: str, pushed: Pushed) -> None:
    """Write down that a version went there, unless it is known that it is there, as it is."""
    name, digest = remote_name(location), bundle.patch.digest
    is_sent = not pushed.already_there or pushed.attestations_added > 0
    if is_sent or not is_recorded(registry, digest, name):
        registry.record_transfer(
            digest,
            PUSH,
            name,
            place=pushed.location,
            revision=pushed.revision,
            languages=bundle.languages,
        )


def plan(
    registry: Registry,
    reference: str,
    location: str,
    *,
    public: bool = False,
    languages: Sequence[str] = (),
) -> Plan:
    """Say what `push` would do, and change nothing here or there; raises as `push`."""
    remote_name(location)
    bundle = bundle_of(registry, registry.patch(reference), location, languages)
    return rehearse(registry, bundle, location, public=public)


def pull(
    registry: Registry,
    reference: str,
    location: str,
    *,
    older: bool = False,
    progress: Progress = silent,
) -> Fetched:
    """Fetch a version and its evaluations; nothing is registered before all is checked.

    The newest there may be older than what was seen there only if `older` says so; a version that
    is named by number, tag or commit may be any. Raises what the remote's `pull` and
    `Registry.admit` do, ReferenceRefused and RemoteRefused.
    """
    asked, remote = _asked(reference), remote_name(location)
    with tempfile.TemporaryDirectory() as folder:
        pulled = open_remote(location).pull(
            asked.full_name, asked.number, Path(folder), progress=progress
        )
        if asked.number is None and not older and not _is_exact(location):
            refuse_older(registry, pulled.patch, remote)
        found, ignored = evaluations_of(pulled.patch, pulled.attestations)
        version = admitted(registry, pulled.patch, location)
        for attestation in found:
            registry.record_evaluation(
                version.digest, attestation.base, attestation.evaluation, origin=pulled.location
            )
    registry.record_transfer(
        version.digest, PULL, remote, place=pulled.location, revision=pulled.revision
    )
    return Fetched(version, len(found), tuple(ignored), pulled.location, pulled.revision)


def pull_all(
    registry: Registry, name: str, location: str, *, progress: Progress = silent
) -> Iterator[Fetched]:
    """Fetch each version that a remote has, oldest first, and give it before the next is fetched.

    What is here already is compared with what is there, and not fetched again; what was deleted
    here is left as it is. Raises as `pull`, and VersionClash for a number that is something else
    there; what was given by then stays.
    """
    remote = open_remote(location)
    for number in remote.versions(name):
        label = f"{name}@{number}"
        known = _here(registry, label)
        if known is None:
            yield pull(registry, label, location, progress=progress)
        else:
            _require_same(registry, known, remote, location)
            yield Fetched(known, 0, (), location, None)


def bundle_of(registry: Registry, patch: Patch, location: str, languages: Sequence[str]) -> Bundle:
    """A version as it would be pushed to a place, with what is known of its scores.

    Without languages, its card names those of the last push of the patch.
    """
    languages = languages or registry.card_languages(patch.manifest.name)
    evaluations = registry.evaluations(patch.digest)
    return Bundle(
        patch,
        card=write_card(patch, evaluations, languages, repository=repository(location)),
        attestations={evaluation.digest: evaluation.path for evaluation in evaluations},
        languages=languages,
    )


def is_recorded(registry: Registry, digest: str, remote: str) -> bool:
    """Whether it was written down that a version went to or came from the place of a remote."""
    known = registry.transfers(f"sha256:{digest}", limit=MAX_TRANSFERS)
    return any(site(one.remote) == site(remote) for one in known)


def _require_same(registry: Registry, known: VersionInfo, remote: Remote, location: str) -> None:
    """Raise VersionClash if the remote has something else under the number of a version."""
    if known.standing and known.standing.deleted:
        return
    patch = registry.patch(f"sha256:{known.digest}", to_read=True)
    if not remote.holds(known.name, known.version, patch.files[MANIFEST].read_bytes()):
        raise VersionClash(
            f"{location} holds something else as {known.label}",
            why=f"known here is sha256:{known.digest}; a version never changes, so one of the two "
            "is not what it says",
            hint="nothing was changed; ask the author which digest is right before using either",
        )


@contextmanager
def _target(registry: Registry, bundle: Bundle, location: str, *, public: bool) -> Iterator[Remote]:
    """The remote to push to; raises RemoteNotFound for a folder that was there and is gone."""
    remote = open_remote(location)
    if not scheme(location):
        require_known_folder(registry, folder_path(location))
    remote = remote.public() if public else remote
    with clash_told(remote, bundle, location):
        yield remote


def _asked(reference: str) -> ByName:
    asked = parse(reference)
    if not isinstance(asked, ByName) or asked.alias is not None:
        number = tagged_version(asked.alias or "") if isinstance(asked, ByName) else None
        raise ReferenceRefused(
            f"{reference} cannot be asked of a remote",
            hint=f"write {asked.full_name}@{number}"
            if isinstance(asked, ByName) and number
            else "write namespace/name or namespace/name@3",
        )
    return asked


def _is_exact(location: str) -> bool:
    return scheme(location) == HUB and parse_location(location).exact


def _here(registry: Registry, label: str) -> VersionInfo | None:
    """A version whose files are all here, or that was deleted here; None for any other."""
    try:
        info = registry.resolve(label, to_read=True)
        if not (info.standing and info.standing.deleted):
            registry.patch(f"sha256:{info.digest}", to_read=True)
    except (NotFound, BlobLost, DigestMismatch):
        return None
    return info


def evaluations_of(
    patch: Patch, attestations: Mapping[str, bytes]
) -> tuple[list[Attestation], list[str]]:
    """Attestations that are evaluations of this very version, and the names of the others."""
    found, ignored = [], []
    for name, data in attestations.items():
        try:
            attestation = Attestation.from_bytes(data)
            bounds.check_evaluation(attestation.evaluation)
        except InputError:
            ignored.append(name)
            continue
        if attestation.version == patch.digest:
            found.append(attestation)
        else:
            ignored.append(name)
    return found, ignored
