"""What a user means by a remote: its name, its place, or, where none is named, the usual one."""

import re
import shlex
from typing import TYPE_CHECKING

from ..patches.errors import NameRefused
from ..registry.remotes.location import ON_HUB
from .app import App

if TYPE_CHECKING:
    from ..registry.registry import Registry

_IN_A_REMOTE = re.compile(r"([a-z0-9][a-z0-9-]*)/([^/]+/[^/]+?)(?:/pr/([1-9][0-9]{0,8}))?/?")


def usual_place(app: App, registry: "Registry", name: str, way: str, *, hint: str) -> str:
    """The remote that a patch was last exchanged with, else the default, which is told.

    `way` is the word that goes before it, as in "to". Raises NotFound, with the hint, if there is
    none.
    """
    from ..registry.errors import NotFound

    place = _usual(app, registry, name, way)
    if place is None:
        raise NotFound(
            f"{name} was never pushed or pulled, so there is no remote to send it to by default",
            hint=hint,
        )
    return place


def usual_or_hub(app: App, registry: "Registry", name: str, way: str) -> str:
    """The usual place of a patch, or the Hub if there is none; which one is told."""
    place = _usual(app, registry, name, way)
    if place is None:
        app.output.note(f"{way} {ON_HUB}, as no other place is known")
    return place or ON_HUB


def place_in(registry: "Registry", text: str) -> str:
    """The place of a patch or proposal that a text means, with the name of a remote replaced.

    NAME/namespace/name is in the remote of that name, also if there is such a folder. What begins
    with a dot, a slash or ~ is a path, and so is all else that no word stands before. Raises
    NotFound for a word that is neither a name nor a folder, NameRefused for a patch that the remote
    cannot have.
    """
    from ..registry.remotes.location import parse_location, proposal_location

    match = _IN_A_REMOTE.fullmatch(text)
    if match is None:
        return registry.remote_at(text)
    word, name, number = match.groups()
    remote = registry.remote_at(word)
    if remote == word:
        return text
    if remote.startswith(ON_HUB) and parse_location(remote).name not in (None, name.lower()):
        raise NameRefused(
            f"{word} means {remote}, which is one patch, and not {name}",
            hint=f"write {word}/{parse_location(remote).name}",
        )
    return proposal_location(remote, name, int(number) if number else None)


def refuse_one_patch(location: str, command: str) -> None:
    """Raise RemoteRefused for the folder of one patch or version where that of all is meant.

    `command` is what the right folder is put after, in the hint.
    """
    from ..patches.format.patch import MANIFEST
    from ..registry.remotes.errors import RemoteRefused
    from ..registry.remotes.location import folder_path, scheme, tagged_version

    folder = None if scheme(location) else folder_path(location)
    if folder is None or not folder.is_dir():
        return
    is_version = (folder / MANIFEST).is_file()
    versions = (one for one in folder.iterdir() if tagged_version(one.name) is not None)
    if is_version or any((one / MANIFEST).is_file() for one in versions):
        patch = folder.parent if is_version else folder
        root = shlex.quote(str(patch.parent.parent))
        raise RemoteRefused(
            f"{folder} is the folder of one {'version' if is_version else 'patch'}, not a remote",
            why="a remote is the folder in which all patches are, as namespace/name/v1",
            hint=f"{command} {root}",
        )


def _usual(app: App, registry: "Registry", name: str, way: str) -> str | None:
    from ..registry.sharing.seen import usual_remote

    usual = usual_remote(registry, name)
    if usual is None:
        return None
    app.output.note(f"{way} {usual.location}, {usual.why}")
    return usual.location
