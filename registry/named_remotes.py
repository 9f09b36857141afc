"""Names of remotes: words that stand for the places where patches are exchanged.

What a name means is its last row in the database, and each row stands under its ledger entry.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from sqlalchemy import Connection, func, insert, select

from ..patches.errors import NameRefused, TargetExists
from ..patches.format.names import quoted
from . import bounds
from .database import schema
from .errors import NotFound
from .ledger.entries import Subject
from .ledger.events import Event
from .remotes.base import open_remote
from .remotes.location import folder_path, scheme, without_revision
from .store import Store
from .transfers import remote_name

DEFAULT = "default"
"""The name of the remote for patches that were never exchanged."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")
_ALMOST_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+-]+:")  # one letter is a drive
_LISTED = 10


@dataclass(frozen=True)
class NamedRemote:
    """A name, the location that it means, and who gave it when, by which ledger entry.

    `is_new` is true only where it was given just now.
    """

    name: str
    location: str
    who: str
    when: str
    seq: int
    is_new: bool = False


def add(store: Store, name: str, location: str) -> NamedRemote:
    """Let a name mean a location; where it does already, nothing is written.

    Raises TargetExists if it means another one, NameRefused, PathRefused, PluginMissing,
    LimitExceeded, InputError.
    """
    if not _NAME.fullmatch(name):
        raise NameRefused(
            f"{quoted(name)} cannot name a remote",
            why="a name is 1 to 39 characters of a-z, 0-9 and hyphen, the first no hyphen",
            hint="the name comes first, then the place: weightpatch remote add team hf://",
        )
    with store.database.reading() as connection:
        meant = _checked(location, _all(connection))
    with store.database.writing() as connection:
        old = _all(connection).get(name)
        if old is None:
            _append(store, connection, name, meant)
            return replace(_all(connection)[name], is_new=True)
    if old.location != meant:
        raise TargetExists(
            f"the remote {name} is {old.location} already",
            why=f"{old.who} named it so, and what it means is not changed in passing",
            hint=f"take the name away first: weightpatch remote remove {name}",
        )
    return old


def remove(store: Store, name: str) -> NamedRemote:
    """Take a name away; gives what it meant. Raises NotFound."""
    with store.database.writing() as connection:
        known = _all(connection)
        if name not in known:
            raise _unknown(name, known, "list them: weightpatch remote list")
        _append(store, connection, name, None)
    return known[name]


def current(connection: Connection) -> list[NamedRemote]:
    """The names that mean something, in their order."""
    return list(_all(connection).values())


def at(connection: Connection, text: str) -> str:
    """The location that a text means, be it a name or the location itself.

    Raises NotFound for a word that is neither a name nor a folder that is there.
    """
    if not _is_word(text):
        return text
    known = _all(connection)
    if text in known:
        return known[text].location
    if Path(text).is_dir():
        return text
    raise _unknown(text, known, _how_to_name(text))


def _is_word(text: str) -> bool:
    """Whether a text could be a name, right or misspelled, and is not a path or an address."""
    is_path = text in ("", ".", "..") or text.startswith("~")
    return not is_path and not any(mark in text for mark in "/\\")


def _checked(location: str, known: Mapping[str, NamedRemote]) -> str:
    """The location as it is written down; raises unless a remote could be there."""
    if location in known:
        raise NameRefused(
            f"{location} is the name of a remote itself",
            why="a name means a place, not another name",
            hint=f"give the place, {known[location].location}, or ./{location} for a folder",
        )
    is_folder = not scheme(location)
    is_doubtful = _is_word(location) or _ALMOST_SCHEME.match(location)
    if is_folder and is_doubtful and not Path(location).is_dir():
        raise NameRefused(
            f"{quoted(location)} is neither an address nor a folder that is there",
            hint="write hf://, hf://namespace/name, or the path of a folder, as in ./drive",
        )
    open_remote(location)
    if without_revision(location) != location:
        raise NameRefused(
            f"{quoted(location)} names a revision, and a remote has many",
            hint=f"write {without_revision(location)}",
        )
    if is_folder:
        path = str(folder_path(location))
        bounds.check_text("the place of a remote", path, schema.MAX_LOCATION)
    return remote_name(location)


def _append(store: Store, connection: Connection, name: str, location: str | None) -> None:
    detail = {"name": name, "location": location}
    seq = store.ledger.append(connection, Event.REMOTE_NAME, Subject(name), detail)
    connection.execute(insert(schema.remote_name).values(seq=seq, **detail))


def _all(connection: Connection) -> dict[str, NamedRemote]:
    """The names that mean something, each with what it means, in their order."""
    table, ledger = schema.remote_name, schema.ledger
    query = (
        select(table, ledger.c.actor, ledger.c.time)
        .join(ledger, ledger.c.seq == table.c.seq)
        .where(table.c.seq.in_(select(func.max(table.c.seq)).group_by(table.c.name)))
        .where(table.c.location.is_not(None))
    )
    rows = sorted(connection.execute(query), key=lambda row: row.name)
    return {
        row.name: NamedRemote(row.name, row.location, row.actor, row.time, row.seq) for row in rows
    }


def _unknown(name: str, known: Iterable[str], otherwise: str) -> NotFound:
    there = list(known)
    close = get_close_matches(name.lower(), there, n=3)
    return NotFound(
        f"no remote is called {quoted(name)}",
        why=f"the remotes: {', '.join(there[:_LISTED])}" if there else "no remote has a name yet",
        hint=f"did you mean {' or '.join(close)}? Else {otherwise}" if close else otherwise,
    )


def _how_to_name(text: str) -> str:
    name = text if _NAME.fullmatch(text) else "NAME"
    folder = f"./{text}" if text.isprintable() else "./FOLDER"
    return f"weightpatch remote add {name} hf://…, or write {folder} for a folder"
