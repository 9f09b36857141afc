"""The version that a reference means, and what may have been meant if there is none."""

import difflib

from sqlalchemy import Connection, and_, or_, select

from ..database import schema
from ..errors import Ambiguous, NotFound
from . import reading
from .reading import VersionInfo
from .refs import DIGEST, ByDigest, ByName, fold, parse

_NEAR = 1_000
_LISTED = 5


def resolve(connection: Connection, reference: str) -> VersionInfo:
    """The version that a reference means.

    Raises ReferenceRefused, NameRefused, NotFound, Ambiguous.
    """
    match parse(reference):
        case ByDigest(prefix):
            return _by_prefix(connection, prefix)
        case ByName() as meant:
            return _by_name(connection, meant)


def _by_prefix(connection: Connection, prefix: str) -> VersionInfo:
    # A range, not LIKE, so that the index on digests serves; "g" sorts after every hex digit.
    digest = schema.version.c.digest
    within = and_(digest >= prefix, digest < f"{prefix}g")
    found = reading.infos(connection, reading.choose(within).limit(_LISTED))
    if not found:
        raise NotFound(
            f"no version has a digest that begins with {prefix}",
            hint="list the versions that are here, or pull the one that is meant",
        )
    if len(found) > 1:
        raise Ambiguous(
            f"several versions have a digest that begins with {prefix}",
            why=", ".join(f"{info.label} {DIGEST}{info.digest[:16]}" for info in found),
            hint="write more digits",
        )
    return found[0]


def _by_name(connection: Connection, meant: ByName) -> VersionInfo:
    query = reading.choose(reading.named(meant.full_name))
    query = query.order_by(None).order_by(schema.version.c.number.desc()).limit(_LISTED)
    if meant.number is None:
        found = reading.infos(connection, query.limit(1))
    else:
        found = reading.infos(connection, query.where(schema.version.c.number == meant.number))
    if found:
        return found[0]
    there = [info.label for info in reading.infos(connection, query)]
    if there:
        raise NotFound(
            f"{meant.full_name} has no version {meant.number}", why=f"newest: {', '.join(there)}"
        )
    near = _near(connection, meant)
    raise NotFound(
        f"there is no patch {meant.full_name} in this registry",
        hint=f"did you mean {' or '.join(near)}?" if near else "pull it, or list what is here",
    )


def _near(connection: Connection, meant: ByName) -> list[str]:
    table = schema.patch
    alike = or_(table.c.namespace == meant.namespace, table.c.folded == fold(meant.name))
    query = select(table.c.namespace, table.c.name).where(alike).limit(_NEAR)
    names = [f"{row.namespace}/{row.name}" for row in connection.execute(query)]
    folded = {fold(name): name for name in names}
    close = difflib.get_close_matches(fold(meant.full_name), folded, n=3, cutoff=0.7)
    return [folded[name] for name in close]
