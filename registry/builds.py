"""Builds: which versions were applied to which base, into which folder, by whom and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, insert, select

from . import bounds
from .database import schema
from .ledger.entries import Subject, writable
from .ledger.events import Event
from .store import Store
from .versions import holding, storing

MAX_BUILDS = 1_000


@dataclass(frozen=True)
class BuildInfo:
    """One build: the folder that it was written to, its base, and the digests of its versions.

    `through` are the labels of the compositions in it that hold the version that was asked for,
    where it is not in the build itself.
    """

    location: str
    base: str
    versions: tuple[str, ...]
    who: str
    when: str
    seq: int
    through: tuple[str, ...] = ()


def record(store: Store, location: str, base: str, versions: Sequence[Subject]) -> BuildInfo:
    """Write an entry for each version, so that each one's log has it, and the build under the last.

    The last one names them all. Raises LimitExceeded, InputError; ValueError for no version, or one
    without a digest.
    """
    location, base = writable(location), writable(base)
    bounds.check_text("the folder of a build", location, schema.MAX_LOCATION)
    bounds.check_text("the id of a base", base)
    if not versions or not all(one.digest for one in versions):
        raise ValueError("a build holds a version at least, each with its digest")
    with store.database.writing() as connection:
        detail = {"base": base, "out": location}
        for one in versions[:-1]:
            store.ledger.append(connection, Event.BUILD_APPLY, one, detail)
        together = detail | {"versions": [[one.label, one.digest] for one in versions]}
        seq = store.ledger.append(connection, Event.BUILD_APPLY, versions[-1], together)
        row = {"seq": seq, "location": location, "base": base}
        connection.execute(insert(schema.build).values(**row))
        members = [
            {"seq": seq, "position": position, "digest": one.digest}
            for position, one in enumerate(versions)
        ]
        storing.insert_all(connection, schema.build_version, members)
        return _builds(connection, [seq])[0]


def of_version(connection: Connection, digest: str, limit: int) -> list[BuildInfo]:
    """The builds that a version went into, itself or in a composition, the newest first."""
    held = {info.digest: info.label for info in holding.holders(connection, digest)}
    table = schema.build_version
    query = (
        select(table.c.seq)
        .where(table.c.digest.in_([digest, *held]))
        .distinct()
        .order_by(table.c.seq.desc())
        .limit(bounds.page(limit, MAX_BUILDS))
    )
    found = _builds(connection, connection.scalars(query).all())
    return [
        build
        if digest in build.versions
        else replace(build, through=tuple(held[one] for one in build.versions if one in held))
        for build in found
    ]


def _builds(connection: Connection, seqs: Sequence[int]) -> list[BuildInfo]:
    table, ledger = schema.build, schema.ledger
    query = (
        select(table, ledger.c.actor, ledger.c.time)
        .join(ledger, ledger.c.seq == table.c.seq)
        .where(table.c.seq.in_(seqs))
        .order_by(table.c.seq.desc())
    )
    versions = _versions(connection, seqs)
    return [
        BuildInfo(row.location, row.base, tuple(versions[row.seq]), row.actor, row.time, row.seq)
        for row in connection.execute(query)
    ]


def _versions(connection: Connection, seqs: Sequence[int]) -> Mapping[int, list[str]]:
    table = schema.build_version
    query = (
        select(table.c.seq, table.c.digest)
        .where(table.c.seq.in_(seqs))
        .order_by(table.c.seq, table.c.position)
    )
    found: dict[int, list[str]] = {}
    for seq, digest in connection.execute(query):
        found.setdefault(seq, []).append(digest)
    return found
