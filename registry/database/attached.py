"""Tables whose rows stand under the number of the ledger entry that says who did it, and when.

What happened to a version after it came in (aliases, yanks, builds, transfers), and what the names
of remotes mean, stands in rows that are only ever added. What holds now is the last of them, so
that no second place can say otherwise.
"""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from .checks import one_of, patch_half, sha256, short
from .metadata import ID, MAX_LOCATION, metadata

LISTED, YANKED, DELETED = STATES = ("listed", "yanked", "deleted")
MALICIOUS = "malicious"
SEVERITIES = ("minor", "major", MALICIOUS)
DIRECTIONS = ("push", "pull")
MAX_REMOTE_NAME = 39


def _entry() -> Column[int]:
    return Column("seq", ID, ForeignKey("ledger.seq"), primary_key=True, autoincrement=False)


def _location() -> CheckConstraint:
    return CheckConstraint(f"length(location) BETWEEN 1 AND {MAX_LOCATION}", name="location_short")


# A version has the state of its last row here, or is listed if it has none.
standing = Table(
    "standing",
    metadata,
    _entry(),
    Column("version_id", ID, ForeignKey("version.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text),
    Column("reason", Text, nullable=False),
    Index(None, "version_id", "seq"),
    CheckConstraint(one_of("state", STATES), name="state_known"),
    CheckConstraint(one_of("severity", SEVERITIES), name="severity_known"),
    CheckConstraint("state <> 'yanked' OR severity IS NOT NULL", name="severity_given"),
    CheckConstraint("reason <> ''", name="reason_given"),
)

# An alias means the version of its last row here; none, if it was taken away.
alias_move = Table(
    "alias_move",
    metadata,
    _entry(),
    Column("patch_id", ID, ForeignKey("patch.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("from_id", ID, ForeignKey("version.id")),
    Column("to_id", ID, ForeignKey("version.id"), index=True),
    Column("reason", Text, nullable=False),
    Index(None, "patch_id", "name", "seq"),
    CheckConstraint("trim(name, '0123456789') <> ''", name="name_no_number"),
    *patch_half("name"),
)

# Builds that were made here, each with the digests of the versions in it.
build = Table(
    "build",
    metadata,
    _entry(),
    Column("location", Text, nullable=False),
    Column("base", Text, nullable=False),
    _location(),
    *short("base"),
)

build_version = Table(
    "build_version",
    metadata,
    Column("seq", ID, ForeignKey("build.seq"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("digest", Text, nullable=False, index=True),
    *sha256("digest"),
)

remote = Table(
    "remote",
    metadata,
    Column("id", ID, primary_key=True),
    Column("location", Text, nullable=False, unique=True),
    _location(),
)

# A name of a remote means the location of its last row here; none, if it was taken away.
remote_name = Table(
    "remote_name",
    metadata,
    _entry(),
    Column("name", Text, nullable=False),
    Column("location", Text),
    Index(None, "name", "seq"),
    CheckConstraint(
        f"length(name) BETWEEN 1 AND {MAX_REMOTE_NAME} AND ltrim(name, '-') = name "
        "AND trim(name, 'abcdefghijklmnopqrstuvwxyz0123456789-') = ''",
        name="name_spelling",
    ),
    _location(),
)

# Where a version went or came from, and the revision that the remote gave it.
transfer = Table(
    "transfer",
    metadata,
    _entry(),
    Column("remote_id", ID, ForeignKey("remote.id"), nullable=False, index=True),
    Column("version_id", ID, ForeignKey("version.id"), nullable=False, index=True),
    Column("direction", Text, nullable=False),
    Column("revision", Text),
    CheckConstraint(one_of("direction", DIRECTIONS), name="direction_known"),
    *short("revision"),
)
