"""The version that a reference means, and what may have been meant if there is none."""

import difflib

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from ..database import schema
from ..errors import Ambiguous, NotFound, ReferenceRefused
from . import alias_rows, reading, standing
from .reading import VersionInfo
from .refs import DIGEST, ByDigest, ByName, fold, parse

_NEAR = 1_000
_LISTED = 5


def resolve(connection: Connection, reference: str, *, to_read: bool = False) -> VersionInfo:
    """The version that a reference means.

    A number or a digest means a version whatever became of it; a name alone means the highest that
    is neither yanked nor deleted, an alias none that is yanked, unless it is only `to_read`. Raises
    ReferenceRefused, NameRefused, NotFound, Ambiguous, Yanked, Deleted.
    """
    match parse(reference):
        case ByDigest(prefix):
            return _by_prefix(connection, prefix)
        case ByName(alias=None, number=None) as meant:
            return _newest(connection, meant)
        case ByName(alias=None) as meant:
            return _numbered(connection, meant)
        case ByName() as meant:
            return _aliased(connection, meant, to_read=to_read)


def exact(connection: Connection, reference: str) -> VersionInfo:
    """The version that a number or a digest means; raises what `resolve` does.

    What is withdrawn, or taken back, is named in full: a name that moves could mean another version
    than its user thinks.
    """
    meant = parse(reference)
    if isinstance(meant, ByName) and meant.number is None:
        raise ReferenceRefused(
            f"{reference} could mean another version tomorrow",
            why="a version is yanked, deleted and restored by its number or digest",
            hint=f"write {meant.full_name}@N",
        )
    return resolve(connection, reference)


def patch_row(connection: Connection, meant: ByName) -> int:
    """Row of the patch that a reference names; raises NotFound."""
    table = schema.patch
    query = select(table.c.id).where(
        table.c.namespace == meant.namespace, table.c.name == meant.name
    )
    row = connection.scalar(query)
    if row is not None:
        return int(row)
    near = _near(connection, meant)
    raise NotFound(
        f"there is no patch {meant.full_name} in this registry",
        hint=f"did you mean {' or '.join(near)}?" if near else "pull it, or list what is here",
    )


def no_alias(connection: Connection, patch: int, meant: ByName) -> NotFound:
    """The error for an alias that means nothing, with those that mean something."""
    there = list(alias_rows.targets(connection, patch))
    close = difflib.get_close_matches(str(meant.alias), there, n=3)
    return NotFound(
        f"{meant.full_name} has no alias {meant.alias}",
        why=f"its aliases: {', '.join(there[:_LISTED])}" if there else "it has no alias",
        hint=f"did you mean {' or '.join(f'{meant.full_name}@{name}' for name in close)}?"
        if close
        else f"write {meant.full_name}@N, or {meant.full_name} for the newest version",
    )


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


def _newest(connection: Connection, meant: ByName) -> VersionInfo:
    patch = patch_row(connection, meant)
    found = _highest(connection, patch, standing.listed())
    if found is not None:
        return found
    info = _highest(connection, patch, standing.kept()) or _highest(connection, patch)
    if info is None or info.standing is None:
        raise NotFound(f"{meant.full_name} has no version yet", hint="publish one, or pull one")
    if info.standing.deleted:
        raise standing.deleted(info.label, info.standing)
    raise standing.yanked(
        info.label,
        info.standing,
        hint=f"no version of {meant.full_name} is left that is not yanked; one is meant only by "
        f"its number, as in {info.label}",
    )


def _numbered(connection: Connection, meant: ByName) -> VersionInfo:
    patch = patch_row(connection, meant)
    version = schema.version.c
    found = reading.find(connection, version.patch_id == patch, version.number == meant.number)
    if found is not None:
        return found
    there = reading.choose(version.patch_id == patch, standing.kept())
    there = there.order_by(None).order_by(version.number.desc()).limit(_LISTED)
    labels = [info.label for info in reading.infos(connection, there)]
    raise NotFound(
        f"{meant.full_name} has no version {meant.number}",
        why=f"newest: {', '.join(labels)}" if labels else None,
        hint=f"see which there are: weightpatch list {meant.full_name}",
    )


def _aliased(connection: Connection, meant: ByName, *, to_read: bool) -> VersionInfo:
    patch = patch_row(connection, meant)
    row = alias_rows.target(connection, patch, str(meant.alias))
    info = None if row is None else reading.find(connection, schema.version.c.id == row)
    if info is None:
        raise no_alias(connection, patch, meant)
    if info.standing is None or to_read:
        return info
    alias = f"{meant.full_name}@{meant.alias}"
    raise standing.yanked(
        f"{info.label}, which {alias} means,",
        info.standing,
        hint=f"let the alias mean another version: weightpatch alias {meant.full_name}@N "
        f"{meant.alias}",
    )


def _highest(
    connection: Connection, patch: int, *conditions: ColumnElement[bool]
) -> VersionInfo | None:
    query = reading.choose(schema.version.c.patch_id == patch, *conditions)
    query = query.order_by(None).order_by(schema.version.c.number.desc()).limit(1)
    found = reading.infos(connection, query)
    return found[0] if found else None


def _near(connection: Connection, meant: ByName) -> list[str]:
    table = schema.patch
    alike = or_(table.c.namespace == meant.namespace, table.c.folded == fold(meant.name))
    query = select(table.c.namespace, table.c.name).where(alike).limit(_NEAR)
    names = [f"{row.namespace}/{row.name}" for row in connection.execute(query)]
    folded = {fold(name): name for name in names}
    close = difflib.get_close_matches(fold(meant.full_name), folded, n=3, cutoff=0.7)
    return [folded[name] for name in close]
