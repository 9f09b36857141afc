"""The first tables: bases, patches and their versions, evaluations, the ledger."""

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
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from weightpatch.registry.database import triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LAST_NUMBER = 1_000_000_000
MAX_SHORT = 255
MAX_LOCATION = 1_000
MAX_LABEL = 512

ID = BigInteger().with_variant(Integer(), "sqlite")

TABLES = (
    "base",
    "base_tensor",
    "base_location",
    "patch",
    "version",
    "version_parent",
    "version_base",
    "version_tensor",
    "operation",
    "request",
    "blob",
    "version_file",
    "evaluation",
    "score",
    "ledger",
)


def _short(*columns: str) -> Iterator[CheckConstraint]:
    for column in columns:
        yield CheckConstraint(f"length({column}) <= {MAX_SHORT}", name=f"{column}_short")


def _sha256(*columns: str) -> Iterator[CheckConstraint]:
    for column in columns:
        yield CheckConstraint(
            f"length({column}) = 64 AND trim({column}, '0123456789abcdef') = ''",
            name=f"{column}_sha256",
        )


def _time(*columns: str) -> Iterator[CheckConstraint]:
    for column in columns:
        yield CheckConstraint(
            f"length({column}) = 20 AND trim({column}, '0123456789TZ-:') = ''",
            name=f"{column}_utc",
        )


def _patch_half(*columns: str) -> Iterator[CheckConstraint]:
    for column in columns:
        yield CheckConstraint(
            f"length({column}) BETWEEN 1 AND 96 AND trim({column}, '._-') = {column} "
            f"AND trim({column}, 'abcdefghijklmnopqrstuvwxyz0123456789._-') = ''",
            name=f"{column}_spelling",
        )


def _at_least(least: int, *columns: str) -> Iterator[CheckConstraint]:
    for column in columns:
        yield CheckConstraint(f"{column} >= {least}", name=f"{column}_least")


def upgrade() -> None:
    op.create_table(
        "base",
        Column("id", ID, primary_key=True),
        Column("fingerprint", Text, nullable=False, unique=True),
        Column("name", Text, nullable=False),
        Column("revision", Text),
        Column("tokenizer", Text),
        Column("recorded", Text, nullable=False),
        *_sha256("fingerprint", "tokenizer"),
        *_short("name", "revision"),
        *_time("recorded"),
    )
    op.create_table(
        "base_tensor",
        Column("base_id", ID, ForeignKey("base.id"), primary_key=True),
        Column("name", Text, primary_key=True),
        Column("dtype", Text, nullable=False),
        Column("shape", Text, nullable=False),
        Column("sha256", Text, nullable=False, index=True),
        *_short("name", "dtype", "shape"),
        *_sha256("sha256"),
    )
    op.create_table(
        "base_location",
        Column("id", ID, primary_key=True),
        Column("base_id", ID, ForeignKey("base.id"), nullable=False, index=True),
        Column("location", Text, nullable=False, unique=True),
        Column("seen", Text, nullable=False),
        CheckConstraint(f"length(location) BETWEEN 1 AND {MAX_LOCATION}", name="location_short"),
        *_time("seen"),
    )
    op.create_table(
        "patch",
        Column("id", ID, primary_key=True),
        Column("namespace", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("folded", Text, nullable=False),
        Column("next_version", BigInteger, nullable=False),
        UniqueConstraint("namespace", "name"),
        UniqueConstraint("namespace", "folded"),
        *_patch_half("namespace", "name"),
        *_at_least(1, "next_version"),
    )
    op.create_table(
        "version",
        Column("id", ID, primary_key=True),
        Column("patch_id", ID, ForeignKey("patch.id"), nullable=False),
        Column("number", BigInteger, nullable=False),
        Column("digest", Text, nullable=False, unique=True),
        Column("content", Text, nullable=False),
        Column("method", Text, nullable=False),
        Column("author", Text, nullable=False),
        Column("licence", Text),
        Column("message", Text, nullable=False),
        Column("created", Text, nullable=False),
        Column("supersedes", Text),
        Column("delta_size", BigInteger, nullable=False),
        Column("recorded", Text, nullable=False),
        UniqueConstraint("patch_id", "number"),
        Index(None, "patch_id", "content"),
        CheckConstraint(f"number BETWEEN 1 AND {LAST_NUMBER}", name="number_range"),
        *_sha256("digest", "content", "supersedes"),
        *_short("method", "author", "licence"),
        *_time("created", "recorded"),
        *_at_least(0, "delta_size"),
    )
    op.create_table(
        "version_parent",
        Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("digest", Text, nullable=False, index=True),
        *_sha256("digest"),
    )
    op.create_table(
        "version_base",
        Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("name", Text, nullable=False),
        Column("revision", Text),
        Column("tokenizer", Text),
        *_short("name", "revision"),
        *_sha256("tokenizer"),
    )
    op.create_table(
        "version_tensor",
        Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("tensor", Text, primary_key=True),
        Column("dtype", Text, nullable=False),
        Column("shape", Text, nullable=False),
        Column("before", Text, nullable=False),
        Column("after", Text, nullable=False),
        *_short("tensor", "dtype", "shape"),
        *_sha256("before", "after"),
    )
    op.create_table(
        "operation",
        Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
        Column("tensor", Text, primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("size", BigInteger, nullable=False),
        Column("norm", Float, nullable=False),
        Column("relative_norm", Float, nullable=False),
        Column("source", Text),
        *_short("tensor", "kind"),
        *_at_least(1, "size"),
        *_at_least(0, "norm", "relative_norm"),
        *_sha256("source"),
    )
    op.create_table(
        "request",
        Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("case_id", Text, nullable=False),
        Column("prompt", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("target", Text, nullable=False),
        Column("old_target", Text),
        UniqueConstraint("version_id", "case_id"),
        *_short("case_id"),
    )
    op.create_table(
        "blob",
        Column("digest", Text, primary_key=True),
        Column("size", BigInteger, nullable=False),
        *_sha256("digest"),
        *_at_least(0, "size"),
    )
    op.create_table(
        "version_file",
        Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
        Column("path", Text, primary_key=True),
        Column("digest", Text, ForeignKey("blob.digest"), nullable=False, index=True),
        *_short("path"),
    )
    op.create_table(
        "evaluation",
        Column("id", ID, primary_key=True),
        Column("digest", Text, ForeignKey("blob.digest"), nullable=False, unique=True),
        Column("version_id", ID, ForeignKey("version.id"), nullable=False, index=True),
        Column("base", Text, nullable=False),
        Column("suite", Text, nullable=False),
        Column("suite_digest", Text, nullable=False),
        Column("environment", Text, nullable=False),
        Column("origin", Text, nullable=False),
        Column("recorded", Text, nullable=False),
        CheckConstraint("origin <> ''", name="origin_given"),
        *_sha256("base", "suite_digest"),
        *_short("suite"),
        *_time("recorded"),
    )
    op.create_table(
        "score",
        Column("evaluation_id", ID, ForeignKey("evaluation.id"), primary_key=True),
        Column("measure", Text, primary_key=True),
        Column("case_id", Text, primary_key=True),
        Column("before", Float),
        Column("after", Float, nullable=False),
        Column("count", BigInteger, nullable=False),
        *_short("measure", "case_id"),
        *_at_least(1, "count"),
    )
    op.create_table(
        "ledger",
        Column("seq", ID, primary_key=True, autoincrement=False),
        Column("prev_hash", LargeBinary, nullable=False),
        Column("entry_hash", LargeBinary, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("time", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("label", Text, nullable=False),
        Column("patch", Text),
        Column("digest", Text),
        Index(None, "patch", "seq"),
        Index(None, "digest", "seq"),
        CheckConstraint("length(prev_hash) = 32", name="prev_hash_length"),
        CheckConstraint("length(entry_hash) = 32", name="entry_hash_length"),
        CheckConstraint(f"length(label) <= {MAX_LABEL}", name="label_short"),
        *_sha256("digest"),
        *_time("time"),
        *_at_least(1, "seq"),
    )


def downgrade() -> None:
    connection = op.get_bind()
    if connection.scalar(text("SELECT count(*) FROM ledger")):
        raise RuntimeError("a registry with a ledger is not downgraded: its history would be lost")
    triggers.remove(connection)
    for table in reversed(TABLES):
        op.drop_table(table)
