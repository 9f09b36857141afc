"""Where a remote is, as a user types it: `hf://`, `hf://namespace/name@revision`, or a folder."""

import re
from dataclasses import dataclass
from pathlib import Path

from ...patches.errors import NameRefused
from ...patches.format.names import check_patch_name, quoted
from ..paths import user_path

HUB = "hf"
ON_HUB = f"{HUB}://"
_SCHEME = re.compile(r"([a-z][a-z0-9+-]+)://(.*)", re.DOTALL)
_ALMOST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/.*|hf:.*", re.DOTALL | re.IGNORECASE)
"""What was meant for an address, and not for a folder; one letter before the colon is a drive."""
_VERSION = re.compile(r"v([1-9][0-9]{0,8})")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PROPOSAL = re.compile(r"(.+)/pr/([1-9][0-9]{0,8})/?", re.DOTALL)
_NO_PROPOSAL = re.compile(r"([^/@]+/[^/@]+)(?:@refs)?/pr(?:/[^/]*)?/?", re.DOTALL)
_PROPOSED = re.compile(r"([^@]+)(?:@refs)?/pr/([1-9][0-9]{0,8})/?")
"""A proposal where a version is meant: by its place, or as the revision that Git knows."""


@dataclass(frozen=True)
class HubLocation:
    """A place on the Hub: all of it, or one repository, perhaps at a tag, branch or commit.

    `name` is that of the patch, in small letters, `repository` that of the repository, where
    it has capitals, as accounts of the Hub may.
    """

    name: str | None
    revision: str | None
    repository: str | None = None

    @property
    def version(self) -> int | None:
        """The number, if the revision is a version's tag."""
        return None if self.revision is None else tagged_version(self.revision)

    @property
    def exact(self) -> bool:
        """Whether it names one state for ever, by a version's tag or by a commit."""
        return self.version is not None or is_commit(self.revision)

    def __str__(self) -> str:
        return on_hub(self.repository or self.name or "", self.revision)


@dataclass(frozen=True)
class ProposalPlace:
    """All proposals of a patch at a remote, or the one of that number."""

    remote: str
    name: str
    number: int | None

    def __str__(self) -> str:
        return proposal_location(self.remote, self.name, self.number)


def folder_path(location: str) -> Path:
    """A folder's full path; raises PathRefused for the home folder of somebody not known here."""
    return user_path(location).absolute()


def scheme(location: str) -> str | None:
    """The part before `://`, or None for a folder.

    Raises NameRefused for what begins almost like an address: nobody means a folder by `hf:/`.
    """
    refuse_mistyped_address(location)
    match = _SCHEME.fullmatch(location)
    return match[1] if match else None


def refuse_mistyped_address(text: str) -> None:
    """Raise NameRefused for what begins almost like an address, and is none."""
    if _ALMOST.fullmatch(text) and not _SCHEME.fullmatch(text):
        raise _mistyped(text)


def on_hub(repository: str, revision: str | None = None) -> str:
    """How a repository of the Hub is written, perhaps at a tag, branch or commit."""
    return f"{ON_HUB}{repository}@{revision}" if revision else f"{ON_HUB}{repository}"


def parse_location(location: str) -> HubLocation:
    """Read `hf://` or `hf://namespace/name[@revision]`.

    Raises NameRefused, for a proposal too: what nobody accepted is no version.
    """
    match = _SCHEME.fullmatch(location)
    if not match or match[1] != HUB:
        raise NameRefused(
            f"{quoted(location)} is not a place on the Hub", hint="write hf://namespace/name@v1"
        )
    refuse_proposal(location)
    if wrong := _NO_PROPOSAL.fullmatch(match[2]):
        raise NameRefused(
            f"{quoted(location)} names no proposal",
            why="proposals have numbers, from 1",
            hint=f"write {ON_HUB}{wrong[1]}/pr/7, or {ON_HUB}{wrong[1]} to list them",
        )
    name, at, revision = match[2].partition("@")
    if at and (not name or not is_revision(revision)):
        raise NameRefused(
            f"{quoted(location)} names no revision that the Hub could have",
            hint="write hf://namespace/name@v1, or a branch or commit in place of v1",
        )
    if not name:
        return HubLocation(None, None)
    patch = check_patch_name(name.lower())
    return HubLocation(patch, revision or None, None if patch == name else name)


def refuse_proposal(location: str) -> None:
    """Raise NameRefused for a proposal where a version is meant; `review` is for these."""
    match = _PROPOSED.fullmatch(location)
    if match:
        raise NameRefused(
            f"{quoted(location)} is a proposal, not a version",
            why="what it holds is a version once it is accepted",
            hint=f"look at it: weightpatch review {match[1]}/pr/{match[2]}",
        )


def parse_proposal(location: str) -> ProposalPlace:
    """Read `hf://namespace/name[/pr/N]`, or a folder `ROOT/namespace/name[/pr/N]`.

    Raises NameRefused.
    """
    match = _PROPOSAL.fullmatch(location)
    patch, number = (match[1], int(match[2])) if match else (location, None)
    if scheme(patch) == HUB:
        place = parse_location(patch)
        if place.name is None or place.revision:
            raise NameRefused(
                f"{quoted(location)} names no patch", hint=f"write {ON_HUB}namespace/name/pr/7"
            )
        return ProposalPlace(patch, place.name, number)
    if scheme(patch) is not None:
        raise NameRefused(
            f"{quoted(location)} is neither on the Hub nor in a folder",
            why="only there can something be proposed",
            hint=f"write {ON_HUB}namespace/name/pr/7, or FOLDER/namespace/name/pr/7",
        )
    folder = Path(patch)
    if len(folder.parts) < 2:
        raise NameRefused(
            f"{quoted(location)} names no patch", hint="write FOLDER/namespace/name/pr/7"
        )
    name = check_patch_name(f"{folder.parent.name}/{folder.name}")
    return ProposalPlace(str(folder.parent.parent), name, number)


def proposal_location(remote: str, name: str, number: int | None) -> str:
    """How a proposal is written: `hf://namespace/name/pr/7`, `ROOT/namespace/name/pr/7`."""
    if scheme(remote) == HUB:
        place = remote if parse_location(remote).name else on_hub(name)
    else:
        place = str(Path(remote) / name)
    return place if number is None else f"{place}/pr/{number}"


def repository(location: str) -> str | None:
    """The repository that a location on the Hub names, None for any other location."""
    if scheme(location) != HUB:
        return None
    place = parse_location(location)
    return place.repository or place.name


def site(location: str) -> str:
    """The place that a location is in: `hf://` for all of the Hub, a folder as it is."""
    return ON_HUB if scheme(location) == HUB else location


def without_revision(location: str) -> str:
    """A location without its revision, if it has one."""
    return location.partition("@")[0] if scheme(location) == HUB else location


def tag(version: int) -> str:
    """The tag or folder name of a version."""
    return f"v{version}"


def evaluations_branch(version: int) -> str:
    """The branch that holds attestations which came after the version."""
    return f"{tag(version)}-evaluations"


def tagged_version(name: str) -> int | None:
    """The version that a tag or folder name stands for, if it is one."""
    match = _VERSION.fullmatch(name)
    return int(match[1]) if match else None


def is_revision(text: str) -> bool:
    """Whether a tag, branch or commit could be called so."""
    return bool(_REVISION.fullmatch(text)) and ".." not in text


def is_commit(revision: object) -> bool:
    """Whether `revision` is the full hex name of a commit."""
    return isinstance(revision, str) and bool(_COMMIT.fullmatch(revision))


def _mistyped(location: str) -> NameRefused:
    start, _, rest = location.partition(":")
    meant = f"{ON_HUB}{rest.lstrip('/')}" if start.lower() == HUB else f"{ON_HUB}namespace/name"
    folder = f"./{location}" if location.isprintable() else "./FOLDER"
    return NameRefused(
        f"{quoted(location)} is neither an address that is known nor the path of a folder",
        why="an address begins with small letters, a colon and two slashes",
        hint=f"write {meant if meant.isprintable() else ON_HUB}, or {folder} for a folder that is "
        "called so",
    )
