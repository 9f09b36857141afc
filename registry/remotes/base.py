"""What every remote promises: whole versions or nothing, and never a wrong byte."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from ...patches import plugins
from ...patches.errors import ManifestError, NameRefused, PluginMissing
from ...patches.format.manifest import FileRecord, Manifest
from ...patches.format.names import quoted
from ...patches.format.patch import MANIFEST, Patch
from ...patches.progress import Progress, silent
from ..errors import VersionClash
from . import attestations as attested
from .catalogue import Found, Glimpse, Wanted
from .errors import RemoteNotFound
from .location import HUB, scheme
from .proposals import Candidate, Proposal, Proposed, Text

_BUILT_IN = {HUB: "hub", None: "folder"}


@dataclass(frozen=True)
class Bundle:
    """What is pushed: a version, its card, and attestations about it by their sha256.

    `languages` are those that the card names.
    """

    patch: Patch
    card: str
    attestations: Mapping[str, Path] = field(default_factory=dict)
    languages: Sequence[str] = ()

    @property
    def name(self) -> str:
        """`namespace/name`."""
        return self.patch.manifest.name

    @property
    def version(self) -> int:
        """The version's number."""
        return self.patch.manifest.version

    @property
    def label(self) -> str:
        """`namespace/name@version`."""
        return self.patch.label

    def records(self) -> dict[str, FileRecord]:
        """Digest and size that each file of the version must have where it arrives.

        Raises LimitExceeded if there are more attestations than a remote takes.
        """
        size = self.patch.files[MANIFEST].stat().st_size
        attested.read_names(map(attested.file_name, self.attestations))
        return {MANIFEST: FileRecord(self.patch.digest, size), **self.patch.manifest.files}


@dataclass(frozen=True)
class Pushed:
    """Where a version now is; `attestations_added` counts those that were not there before."""

    location: str
    revision: str | None
    already_there: bool
    attestations_added: int = 0


@dataclass(frozen=True)
class Pulled:
    """A version that was fetched and checked, and the attestations found with it."""

    patch: Patch
    attestations: Mapping[str, bytes]
    location: str
    revision: str | None


@dataclass(frozen=True)
class Plan:
    """What a push would do: the files that it would write, each with its bytes.

    `makes` says whether the repository or folder would be made first, and `private` whether the
    one made would be; None where that is not for a push to say.
    """

    location: str
    makes: bool
    private: bool | None
    already_there: bool
    files: Mapping[str, int]


class Remote(Protocol):
    """A place where versions are pushed to and pulled from."""

    @classmethod
    def open(cls, location: str) -> Self:
        """Make a remote of what the user typed; nothing is read or sent. Raises NameRefused."""

    def public(self) -> Self:
        """The same remote, on which all may read what a push makes; raises RemoteRefused."""

    def plan(self, bundle: Bundle) -> Plan:
        """Say what `push` would do, and change nothing; raises as `push`."""

    def push(self, bundle: Bundle, *, progress: Progress = silent) -> Pushed:
        """Put a version there whole, or change nothing.

        What is there already stays; attestations that are not there are added. Raises
        VersionClash if the number is taken by something else, NameRefused if the remote was opened
        at one revision, and RemoteError.
        """

    def pull(
        self, name: str, version: int | None, into: Path, *, progress: Progress = silent
    ) -> Pulled:
        """Fetch a version, or the highest, into the empty folder `into`, every file hashed.

        A remote that was opened at one revision gives the version that this stands for. Raises
        NameRefused if `version` is another one, RemoteError, and the InputError that says what is
        wrong with what came.
        """

    def versions(self, name: str) -> list[int]:
        """The numbers that are there, in order; raises RemoteNotFound if there are none."""

    def holds(self, name: str, version: int, manifest: bytes) -> bool:
        """Whether a version that is there has these very bytes as its patch.json.

        Its files are not looked at. Raises RemoteError.
        """

    def search(self, wanted: Wanted, limit: int, *, progress: Progress = silent) -> Found:
        """Find at most `limit` patches, the last changed first; nothing said of them is checked.

        One that does not answer is told and stops nothing. Raises RemoteError, QueryRefused.
        """

    def look(self, name: str, *, progress: Progress = silent) -> Glimpse:
        """Read the manifest alone of the version that `pull` without a number would fetch.

        Raises RemoteError, and the InputError that says what is wrong with the manifest.
        """

    def propose(self, bundle: Bundle, text: Text, *, progress: Progress = silent) -> Proposed:
        """Lay a version beside those that are there, for whoever keeps them to accept.

        It must be numbered one above the newest. What is proposed there already is not proposed
        again. Raises RemoteRefused for another number, RemoteNotFound if no version is there,
        NameRefused if the remote was opened at one revision.
        """

    def proposals(self, name: str) -> list[Proposal]:
        """The proposals that wait to be accepted, newest first; raises RemoteError."""

    def proposal(
        self, name: str, number: int, into: Path, *, progress: Progress = silent
    ) -> Candidate:
        """Fetch a proposed version into the empty folder `into`, every file hashed.

        Raises as `pull`, and RemoteNotFound if there is no such proposal.
        """

    def accept(self, name: str, number: int, reviewed: Bundle) -> Pushed:
        """Make a version of a proposal, if it is still what was reviewed, byte for byte.

        It gets the card of the bundle in place of its author's, and attestations that it lacks.
        One that was accepted by other means, or halfway, is finished. Raises RemoteRefused if its
        number was taken meanwhile, if it was closed, or if it would change more than a version
        may; RemoteRace if it is not what was reviewed: then no version comes of it.
        """


def open_remote(location: str) -> Remote:
    """Find the remote that `location` names: `hf://`, `hf://namespace/name`, or a folder.

    Raises PluginMissing for a scheme that is not known, NameRefused, PathRefused.
    """
    if not location:
        raise NameRefused(
            "the place of a remote is empty", hint="write hf://, hf://namespace/name, or a folder"
        )
    kind = scheme(location)
    remote: type[Remote] = plugins.load("remotes", _BUILT_IN.get(kind) or _other(location, kind))
    return remote.open(location)


def _other(location: str, kind: str | None) -> str:
    """The plugin for a scheme that is none of ours; raises PluginMissing."""
    others = sorted(set(plugins.names("remotes")) - set(_BUILT_IN.values()))
    if kind not in others:
        known = ", ".join(f"{one}://" for one in (HUB, *others))
        raise PluginMissing(
            f"{quoted(location)} is at no remote: {kind}:// is not known",
            why=f"known: {known}, and folders",
            hint="write hf://, hf://namespace/name, or the path of a folder as it is",
        )
    return kind


def choose(there: Collection[int], version: int | None, name: str, place: str) -> int:
    """The version asked for, or the highest of the one or more `there`; raises RemoteNotFound."""
    number = max(there) if version is None else version
    if number not in there:
        known = ", ".join(map(str, sorted(there)))
        raise RemoteNotFound(
            f"{place} has no {name}@{number}", why=f"versions there: {known}", hint="name one"
        )
    return number


def read_manifest(data: bytes, name: str, version: int | None) -> Manifest:
    """Read a manifest that must be of this name and version; raises InputError."""
    manifest = Manifest.from_bytes(data)
    asked = name if version is None else f"{name}@{version}"
    if manifest.name != name or manifest.version != (version or manifest.version):
        raise ManifestError(
            f"asked for {asked}, the remote holds {quoted(manifest.label)} in its place",
            why="a patch that answers to another name could pass for somebody else's",
            hint="do not trust this source",
        )
    return manifest


def clash(place: str, bundle: Bundle) -> VersionClash:
    """The alarm that a number is taken by something else."""
    return VersionClash(
        f"{place} holds another {bundle.label}",
        why="a number stands for one content for ever; nothing was changed there",
        hint="find out who published it; yours can go there under a number of its own",
    )
