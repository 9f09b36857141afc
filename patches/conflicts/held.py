"""Patches that hold the same delta: a composition and its members, or two compositions."""

from collections.abc import Iterable, Mapping, Sequence

from ..format.patch import Patch
from ..terms import sources

COMPOSED = "compose"
"""The method of a version that was made of others, which are its parents."""

SAME_DELTA = "both hold the same delta"


def held_twice(patches: Sequence[Patch]) -> dict[tuple[int, int], str]:
    """The pairs, by number, of patches that hold the same delta, and how that is known.

    A sum keeps the digests of the deltas it holds. Where it weights them, and where it is composed
    in another way, as by TIES, it names its members only as parents.
    """
    found = dict.fromkeys(_sharing([sources(patch) for patch in patches]), SAME_DELTA)
    members = _members(patches)
    for pair in _sharing(members):
        found.setdefault(pair, _sentence(patches, members, *pair))
    return found


def _members(patches: Sequence[Patch]) -> list[set[str]]:
    """The digests of each patch and of all that it was composed of, as far as it is known here."""
    parents = {patch.digest: _parents(patch) for patch in patches}
    found = []
    for patch in patches:
        members, waiting = {patch.digest}, list(parents[patch.digest])
        while waiting:
            digest = waiting.pop()
            if digest not in members:
                members.add(digest)
                waiting += parents.get(digest, ())
        found.append(members)
    return found


def _parents(patch: Patch) -> Sequence[str]:
    return patch.manifest.parents if patch.manifest.method.name == COMPOSED else ()


def _sentence(patches: Sequence[Patch], members: Sequence[set[str]], one: int, other: int) -> str:
    first, second = patches[one], patches[other]
    if second.digest in members[one]:
        return f"{second.label} is already counted in: {first.label} was composed of it"
    if first.digest in members[other]:
        return f"{first.label} is already counted in: {second.label} was composed of it"
    common = sorted(members[one] & members[other])
    return f"both were composed of the same version, sha256:{common[0][:12]}…"


def _sharing(sets: Iterable[Iterable[str]]) -> set[tuple[int, int]]:
    """The pairs, by number, of sets that have an element in common."""
    owners: dict[str, list[int]] = {}
    for number, each in enumerate(sets):
        for element in each:
            owners.setdefault(element, []).append(number)
    return _pairs(owners)


def _pairs(owners: Mapping[str, Sequence[int]]) -> set[tuple[int, int]]:
    alike = {tuple(numbers) for numbers in owners.values() if len(numbers) > 1}
    return {
        (numbers[place], other)
        for numbers in alike
        for place in range(len(numbers))
        for other in numbers[place + 1 :]
    }
