"""What becomes of a version: its standing, aliases, builds and transfers; and what finds it."""

from collections.abc import Iterator

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Text,
    text,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MAX_SHORT = 255
MAX_LOCATION = 650

ID = BigInteger().with_variant(Integer(), "sqlite")

INDEXES = (
    ("version", ("author", "id")),
    ("version", ("method", "id")),
    ("version", ("supersedes",)),
    ("version_base", ("name", "version_id")),
    ("version_base", ("name", "revision", "version_id")),
    ("version_tensor", ("before", "version_id")),
    ("operation", ("tensor", "version_id")),
    ("ledger", ("actor", "seq")),
    ("ledger", ("actor", "action", "seq")),
    ("ledger", ("action", "seq")),
    ("ledger", ("time", "seq")),
)
HISTORY = ("transfer", "remote", "build_version", "build", "alias_move", "standing")
DERIVED = ("term", "provenance", "mean")


def _short(*columns: str) -> Iterator[CheckConstraint]:
    for column in columns:
        yield CheckConstraint(f"length({column}) <= {MAX_SHORT}", name=f"{column}_short")


def _location() -> CheckConstraint:
    return CheckConstraint(f"length(location) BETWEEN 1 AND {MAX_LOCATION}", name="location_short")


def _entry() -> Column[int]:
    return Column("seq", ID, ForeignKey("ledger.seq"), primary_key=True, autoincrement=False)


def upgrade() -> None:
    for table, columns in INDEXES:
        op.create_index(None, table, list(columns))
    _create_derived()
    _create_standings()
    _create_builds()
    _create_transfers()


def _create_derived() -> None:
    op.create_table(
        "mean",
        Column("evaluation_id", ID, ForeignKey("evaluation.id"), primary_key=True),
        Column("measure", Text, primary_key=True),
        Column("before", Float),
        Column("after", Float, nullable=False),
        Column("count", BigInteger, nullable=False),
        Index(None, "measure", "after"),
        *_short("measure"),
        CheckConstraint("count >= 1", name="count_least"),
    )
    op.create_table(
        "provenance",
        Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
        Column("method_version", Text, nullable=False),
        Column("seed", BigInteger),
        Column("device", Text, nullable=False),
        Column("hyperparameters", Text, nullable=False),
        Column("statistics", Text, nullable=False),
        Column("tools", Text, nullable=False),
        *_short("method_version", "device"),
    )
    op.create_table(
        "term",
        Column("field", Text, primary_key=True),
        Column("term", Text, primary_key=True),
        Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
        CheckConstraint("field IN ('word', 'subject')", name="field_known"),
        *_short("term"),
        sqlite_with_rowid=False,
    )


def _create_standings() -> None:
    op.create_table(
        "standing",
        _entry(),
        Column("version_id", ID, ForeignKey("version.id"), nullable=False),
        Column("state", Text, nullable=False),
        Column("severity", Text),
        Column("reason", Text, nullable=False),
        Index(None, "version_id", "seq"),
        CheckConstraint("state IN ('listed', 'yanked', 'deleted')", name="state_known"),
        CheckConstraint("severity IN ('minor', 'major', 'malicious')", name="severity_known"),
        CheckConstraint("state <> 'yanked' OR severity IS NOT NULL", name="severity_given"),
        CheckConstraint("reason <> ''", name="reason_given"),
    )
    op.create_table(
        "alias_move",
        _entry(),
        Column("patch_id", ID, ForeignKey("patch.id"), nullable=False),
        Column("name", Text, nullable=False),
        Column("from_id", ID, ForeignKey("version.id")),
        Column("to_id", ID, ForeignKey("version.id"), index=True),
        Column("reason", Text, nullable=False),
        Index(None, "patch_id", "name", "seq"),
        CheckConstraint("trim(name, '0123456789') <> ''", name="name_no_number"),
        CheckConstraint(
            "length(name) BETWEEN 1 AND 96 AND trim(name, '._-') = name "
            "AND trim(name, 'abcdefghijklmnopqrstuvwxyz0123456789._-') = ''",
            name="name_spelling",
        ),
    )


def _create_builds() -> None:
    op.create_table(
        "build",
        _entry(),
        Column("location", Text, nullable=False),
        Column("base", Text, nullable=False),
        _location(),
        *_short("base"),
    )
    op.create_table(
        "build_version",
        Column("seq", ID, ForeignKey("build.seq"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("digest", Text, nullable=False, index=True),
        CheckConstraint(
            "length(digest) = 64 AND trim(digest, '0123456789abcdef') = ''", name="digest_sha256"
        ),
    )


def _create_transfers() -> None:
    op.create_table(
        "remote",
        Column("id", ID, primary_key=True),
        Column("location", Text, nullable=False, unique=True),
        _location(),
    )
    op.create_table(
        "transfer",
        _entry(),
        Column("remote_id", ID, ForeignKey("remote.id"), nullable=False, index=True),
        Column("version_id", ID, ForeignKey("version.id"), nullable=False, index=True),
        Column("direction", Text, nullable=False),
        Column("revision", Text),
        CheckConstraint("direction IN ('push', 'pull')", name="direction_known"),
        *_short("revision"),
    )


def downgrade() -> None:
    connection = op.get_bind()
    for table in HISTORY:
        if connection.scalar(text(f"SELECT count(*) FROM {table}")):  # noqa: S608 - our own names
            raise RuntimeError(f"the rows of {table} would be lost, and they are history")
    for table in (*HISTORY, *DERIVED):
        op.drop_table(table)
    for table, columns in reversed(INDEXES):
        op.drop_index(f"ix_{table}_{'_'.join(columns)}", table)
