"""The tables, their naming convention and constraints, and nothing else.

CHECKs are written so that SQLite and PostgreSQL read them alike: `trim(x, 'abc') = ''` says that x
has no character but a, b and c. (No letter may follow a colon there, or it would be a parameter.)
Texts that an index may hold are bounded, since PostgreSQL's indexes hold no long ones.
"""

from collections.abc import Iterator

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0001"
"""The migration that makes these tables; a test compares."""

LAST_NUMBER = 1_000_000_000
MAX_SHORT = 255
MAX_LOCATION = 1_000
MAX_LABEL = 512

ID = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
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


base = Table(
    "base",
    metadata,
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

base_tensor = Table(
    "base_tensor",
    metadata,
    Column("base_id", ID, ForeignKey("base.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("dtype", Text, nullable=False),
    Column("shape", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    *_short("name", "dtype", "shape"),
    *_sha256("sha256"),
)

base_location = Table(
    "base_location",
    metadata,
    Column("id", ID, primary_key=True),
    Column("base_id", ID, ForeignKey("base.id"), nullable=False, index=True),
    Column("location", Text, nullable=False, unique=True),
    Column("seen", Text, nullable=False),
    CheckConstraint(f"length(location) BETWEEN 1 AND {MAX_LOCATION}", name="location_short"),
    *_time("seen"),
)

patch = Table(
    "patch",
    metadata,
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

version = Table(
    "version",
    metadata,
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

version_parent = Table(
    "version_parent",
    metadata,
    Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("digest", Text, nullable=False, index=True),
    *_sha256("digest"),
)

version_base = Table(
    "version_base",
    metadata,
    Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("revision", Text),
    Column("tokenizer", Text),
    *_short("name", "revision"),
    *_sha256("tokenizer"),
)

# What a version makes of each tensor of the base at `position` in its manifest.
version_tensor = Table(
    "version_tensor",
    metadata,
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

operation = Table(
    "operation",
    metadata,
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

request = Table(
    "request",
    metadata,
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

blob = Table(
    "blob",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    *_sha256("digest"),
    *_at_least(0, "size"),
)

version_file = Table(
    "version_file",
    metadata,
    Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("digest", Text, ForeignKey("blob.digest"), nullable=False, index=True),
    *_short("path"),
)

# `base` is the fingerprint of a checkpoint that need not be recorded here; `origin` is "here" or
# the place that the evaluation was pulled from.
evaluation = Table(
    "evaluation",
    metadata,
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

score = Table(
    "score",
    metadata,
    Column("evaluation_id", ID, ForeignKey("evaluation.id"), primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("case_id", Text, primary_key=True),
    Column("before", Float),
    Column("after", Float, nullable=False),
    Column("count", BigInteger, nullable=False),
    *_short("measure", "case_id"),
    *_at_least(1, "count"),
)

# `body` is what the hash covers; the columns after it repeat parts of it for searching.
ledger = Table(
    "ledger",
    metadata,
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
