"""outdated: which patches have newer versions at the remotes that they were exchanged with."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...patches.errors import WeightpatchError
from ..errors import NotFound
from ..registry import Registry
from ..remotes.base import open_remote
from ..remotes.catalogue import Unanswered
from ..remotes.errors import RemoteBusy, RemoteNotFound, RemoteUnreachable
from ..remotes.location import site, without_revision
from .seen import default_remote


@dataclass(frozen=True)
class Newer:
    """A patch of which a remote has a higher version than is here."""

    name: str
    here: int
    there: int
    remote: str


@dataclass(frozen=True)
class Outlook:
    """What was found; `asked` counts the pairs of a patch and a remote, `local` have no remote."""

    newer: tuple[Newer, ...]
    unanswered: tuple[Unanswered, ...]
    local: tuple[str, ...]
    asked: int


def outdated(registry: Registry, references: Sequence[str] = ()) -> Outlook:
    """Ask every remote that a patch was pushed to or pulled from for its highest version.

    Without references all patches that were exchanged are looked at, each as its highest version
    here. One that a reference names, and that never was, is asked of the remote called `default`. A
    remote that does not answer stops nothing, and is not asked for another patch. Nothing is
    changed. Raises what `Registry.resolve` does.
    """
    wanted = dict(_wanted(registry, references))
    places = {name: list(_remotes(registry, name)) for name in wanted}
    local = {name for name in places if not places[name]}
    if default := default_remote(registry):
        places.update((name, [default]) for name in local)
    newer: list[Newer] = []
    unanswered: list[Unanswered] = []
    silent: dict[str, tuple[str, WeightpatchError]] = {}
    for name, remotes in places.items():
        for remote in remotes:
            try:
                there = _numbers(name, remote, silent)
            except (WeightpatchError, OSError) as error:
                if name not in local or not isinstance(error, RemoteNotFound):
                    unanswered.append(Unanswered(name, remote, error))
                    local.discard(name)
                continue
            local.discard(name)
            highest = _highest(registry, name, wanted[name], there)
            if highest is not None:
                newer.append(Newer(name, wanted[name], highest, remote))
    asked = sum(len(remotes) for name, remotes in places.items() if name not in local)
    return Outlook(tuple(newer), tuple(unanswered), tuple(sorted(local)), asked)


def _wanted(registry: Registry, references: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each patch to look at, with the number that is here."""
    if references:
        for reference in references:
            info = registry.resolve(reference, to_read=True)
            yield info.name, info.version
        return
    for name in dict.fromkeys(sorted(one.name for one in registry.exchanges())):
        for info in registry.versions(name=name, limit=1):
            yield name, info.version


def _remotes(registry: Registry, name: str) -> Iterable[str]:
    """The remotes of a patch, each place once, as it was called the last time."""
    places: dict[str, str] = {}
    for one in registry.exchanges(name):
        places.setdefault(site(one.remote), without_revision(one.remote))
    return places.values()


def _numbers(name: str, remote: str, silent: dict[str, tuple[str, WeightpatchError]]) -> list[int]:
    """The versions that a remote has; one that did not answer before is not asked."""
    place = site(remote)
    if place in silent:
        first, known = silent[place]
        raise type(known)(
            f"it was not asked again, as it gave no answer for {first}",
            why=known.why,
            hint=known.hint,
        )
    try:
        return open_remote(remote).versions(name)
    except (RemoteUnreachable, RemoteBusy) as error:
        silent[place] = name, error
        raise


def _highest(registry: Registry, name: str, here: int, there: Sequence[int]) -> int | None:
    """The highest number above `here` that was not deleted here, if there is one."""
    higher = (number for number in sorted(there, reverse=True) if number > here)
    return next((one for one in higher if not _deleted(registry, f"{name}@{one}")), None)


def _deleted(registry: Registry, label: str) -> bool:
    try:
        standing = registry.resolve(label, to_read=True).standing
    except NotFound:
        return False
    return bool(standing and standing.deleted)
