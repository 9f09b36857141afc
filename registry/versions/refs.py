"""References to versions, as people write them."""

import re
from dataclasses import dataclass, replace

from ...patches.format.names import check_patch_name, quoted
from ..errors import ReferenceRefused
from ..remotes.location import ON_HUB, parse_location, refuse_mistyped_address

LEAST_PREFIX = 6
DIGEST = "sha256:"

_PREFIX = re.compile(rf"[0-9a-f]{{{LEAST_PREFIX},64}}")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_ALIAS = re.compile(r"(?![0-9]+\Z)[a-z0-9]([a-z0-9._-]{0,94}[a-z0-9])?")
NEWEST = "latest"
"""No alias is called so, since a name alone means the newest version."""


@dataclass(frozen=True)
class ByName:
    """`namespace/name`, then the newest version is meant, `namespace/name@3` or `…@alias`."""

    namespace: str
    name: str
    number: int | None
    alias: str | None = None

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class ByDigest:
    """`sha256:` and the beginning of a version's digest."""

    prefix: str


def parse(text: str) -> ByName | ByDigest:
    """Read a reference; raises ReferenceRefused, or NameRefused for a name that none can have."""
    if text.startswith(DIGEST):
        return _by_digest(text)
    if text.startswith(ON_HUB):
        raise _still_there(text)
    refuse_mistyped_address(text)
    full_name, at, selector = text.partition("@")
    check_patch_name(full_name)
    namespace, name = full_name.split("/")
    if not at:
        return ByName(namespace, name, None)
    if _NUMBER.fullmatch(selector):
        return ByName(namespace, name, int(selector))
    if _ALIAS.fullmatch(selector) and selector != NEWEST:
        return ByName(namespace, name, None, selector)
    raise ReferenceRefused(
        f"{quoted(text)} does not refer to a version",
        why=f"{NEWEST} is no alias: a name alone means the newest version"
        if selector == NEWEST
        else "after @ comes the number of a version, or an alias of small letters, digits and "
        ". _ - within, not of digits only",
        hint=f"write {full_name}@1, {full_name}@stable, or {full_name} for the newest version",
    )


def _still_there(text: str) -> ReferenceRefused:
    """The error for a version on the Hub where one of this registry is meant.

    Raises NameRefused for a proposal, and what is no version at all.
    """
    place = parse_location(text)
    if place.name is None:
        return ReferenceRefused(f"{quoted(text)} names no patch", hint="write namespace/name")
    there, here = text, place.name
    number = (place.revision or "").removeprefix("v")
    if _NUMBER.fullmatch(number):
        there, here = str(replace(place, revision=f"v{number}")), f"{place.name}@{number}"
    return ReferenceRefused(
        f"{quoted(text)} is on the Hub, and only what was pulled can be used",
        why="a pull checks every file of it",
        hint=f"pull it first: weightpatch pull {there}; here it is then called {here}",
    )


def _by_digest(text: str) -> ByDigest:
    prefix = text.removeprefix(DIGEST)
    if not _PREFIX.fullmatch(prefix):
        raise ReferenceRefused(
            f"{quoted(text)} does not refer to a version",
            why=f"after {DIGEST} come {LEAST_PREFIX} to 64 of the digits 0-9 and a-f",
        )
    return ByDigest(prefix)


def fold(name: str) -> str:
    """What is left of a name when all that looks alike is the same.

    Case, hyphen, underscore and dot do not count; 0 is o, and 1 and i are l, as on PyPI.
    """
    return name.lower().translate(_FOLDED)


_FOLDED = str.maketrans({"-": "", "_": "", ".": "", "0": "o", "1": "l", "i": "l"})
