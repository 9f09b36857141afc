"""Push and pull: what lies between the registry and a remote."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..patches.errors import InputError
from ..patches.format.card import write_card
from ..patches.progress import Progress, silent
from . import bounds
from .attestations import Attestation
from .errors import ReferenceRefused
from .registry import Registry, VersionInfo
from .remotes.base import Bundle, Pulled, Pushed, open_remote
from .transfers import PULL, PUSH, remote_name
from .versions.refs import ByName, parse


@dataclass(frozen=True)
class Fetched:
    """A version that was pulled; evaluations that are not about it are named in `ignored`."""

    version: VersionInfo
    evaluations: int
    ignored: tuple[str, ...]


def push(
    registry: Registry, reference: str, location: str, *, progress: Progress = silent
) -> Pushed:
    """Send a version with its card and evaluations; what is there already stays as it is.

    Raises what `Registry.patch` and the remote's `push` do; Yanked for a malicious version.
    """
    remote = remote_name(location)
    patch = registry.patch(reference)
    evaluations = registry.evaluations(patch.digest)
    bundle = Bundle(
        patch,
        card=write_card(patch, evaluations),
        attestations={evaluation.digest: evaluation.path for evaluation in evaluations},
    )
    pushed = open_remote(location).push(bundle, progress=progress)
    if not pushed.already_there or pushed.attestations_added:
        registry.record_transfer(
            patch.digest, PUSH, remote, place=pushed.location, revision=pushed.revision
        )
    return pushed


def pull(
    registry: Registry, reference: str, location: str, *, progress: Progress = silent
) -> Fetched:
    """Fetch a version and its evaluations; nothing is registered before all is checked.

    Raises what the remote's `pull` and `Registry.admit` do, and ReferenceRefused.
    """
    asked, remote = parse(reference), remote_name(location)
    if not isinstance(asked, ByName) or asked.alias is not None:
        raise ReferenceRefused(
            f"{reference} cannot be asked of a remote",
            hint="write namespace/name or namespace/name@3",
        )
    with tempfile.TemporaryDirectory() as folder:
        pulled = open_remote(location).pull(
            asked.full_name, asked.number, Path(folder), progress=progress
        )
        found, ignored = _evaluations(pulled)
        version = registry.admit(pulled.patch)
        for attestation in found:
            registry.record_evaluation(
                version.digest, attestation.base, attestation.evaluation, origin=pulled.location
            )
    registry.record_transfer(
        version.digest, PULL, remote, place=pulled.location, revision=pulled.revision
    )
    return Fetched(version, len(found), tuple(ignored))


def _evaluations(pulled: Pulled) -> tuple[list[Attestation], list[str]]:
    """Attestations that are evaluations of this very version, and the names of the others."""
    found, ignored = [], []
    for name, data in pulled.attestations.items():
        try:
            attestation = Attestation.from_bytes(data)
            bounds.check_evaluation(attestation.evaluation)
        except InputError:
            ignored.append(name)
            continue
        if attestation.version == pulled.patch.digest:
            found.append(attestation)
        else:
            ignored.append(name)
    return found, ignored
