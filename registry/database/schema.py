"""The tables and their constraints: versions, what they hold, and the ledger.

What happened to a version after it came in stands in the tables of `attached`.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from .attached import (
    DELETED,
    DIRECTIONS,
    LISTED,
    MALICIOUS,
    SEVERITIES,
    STATES,
    YANKED,
    alias_move,
    build,
    build_version,
    remote,
    remote_name,
    standing,
    transfer,
)
from .checks import at_least, one_of, patch_half, sha256, short, utc
from .metadata import ID, MAX_LOCATION, metadata

__all__ = [
    "DELETED",
    "DIRECTIONS",
    "LISTED",
    "MALICIOUS",
    "MAX_LOCATION",
    "SEVERITIES",
    "STATES",
    "YANKED",
    "alias_move",
    "build",
    "build_version",
    "metadata",
    "remote",
    "remote_name",
    "standing",
    "transfer",
]

REVISION = "0003"
"""The migration that makes these tables; a test compares."""

LAST_NUMBER = 1_000_000_000
MAX_LABEL = 512

FIELDS = ("word", "subject")


base = Table(
    "base",
    metadata,
    Column("id", ID, primary_key=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("revision", Text),
    Column("tokenizer", Text),
    Column("recorded", Text, nullable=False),
    *sha256("fingerprint", "tokenizer"),
    *short("name", "revision"),
    *utc("recorded"),
)

base_tensor = Table(
    "base_tensor",
    metadata,
    Column("base_id", ID, ForeignKey("base.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("dtype", Text, nullable=False),
    Column("shape", Text, nullable=False),
    Column("sha256", Text, nullable=False, index=True),
    *short("name", "dtype", "shape"),
    *sha256("sha256"),
)

base_location = Table(
    "base_location",
    metadata,
    Column("id", ID, primary_key=True),
    Column("base_id", ID, ForeignKey("base.id"), nullable=False, index=True),
    Column("location", Text, nullable=False, unique=True),
    Column("seen", Text, nullable=False),
    CheckConstraint("length(location) BETWEEN 1 AND 1000", name="location_short"),  # as in 0001
    *utc("seen"),
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
    *patch_half("namespace", "name"),
    *at_least(1, "next_version"),
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
    Index(None, "author", "id"),
    Index(None, "method", "id"),
    Index(None, "supersedes"),
    CheckConstraint(f"number BETWEEN 1 AND {LAST_NUMBER}", name="number_range"),
    *sha256("digest", "content", "supersedes"),
    *short("method", "author", "licence"),
    *utc("created", "recorded"),
    *at_least(0, "delta_size"),
)

version_parent = Table(
    "version_parent",
    metadata,
    Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("digest", Text, nullable=False, index=True),
    *sha256("digest"),
)

version_base = Table(
    "version_base",
    metadata,
    Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("revision", Text),
    Column("tokenizer", Text),
    Index(None, "name", "version_id"),
    Index(None, "name", "revision", "version_id"),
    *short("name", "revision"),
    *sha256("tokenizer"),
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
    Index(None, "before", "version_id"),
    *short("tensor", "dtype", "shape"),
    *sha256("before", "after"),
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
    Index(None, "tensor", "version_id"),
    *short("tensor", "kind"),
    *at_least(1, "size"),
    *at_least(0, "norm", "relative_norm"),
    *sha256("source"),
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
    *short("case_id"),
)

blob = Table(
    "blob",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    *sha256("digest"),
    *at_least(0, "size"),
)

version_file = Table(
    "version_file",
    metadata,
    Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
    Column("path", Text, primary_key=True),
    Column("digest", Text, ForeignKey("blob.digest"), nullable=False, index=True),
    *short("path"),
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
    *sha256("base", "suite_digest"),
    *short("suite"),
    *utc("recorded"),
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
    *short("measure", "case_id"),
    *at_least(1, "count"),
)

# Averages of an evaluation's cases, so that a search need not compute them.
mean = Table(
    "mean",
    metadata,
    Column("evaluation_id", ID, ForeignKey("evaluation.id"), primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("before", Float),
    Column("after", Float, nullable=False),
    Column("count", BigInteger, nullable=False),
    Index(None, "measure", "after"),
    *short("measure"),
    *at_least(1, "count"),
)

# How a version was made, out of its manifest; the last three columns hold JSON.
provenance = Table(
    "provenance",
    metadata,
    Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
    Column("method_version", Text, nullable=False),
    Column("seed", BigInteger),
    Column("device", Text, nullable=False),
    Column("hyperparameters", Text, nullable=False),
    Column("statistics", Text, nullable=False),
    Column("tools", Text, nullable=False),
    *short("method_version", "device"),
)

# What a search by text (field "word") or by subject (field "subject") finds a version by.
term = Table(
    "term",
    metadata,
    Column("field", Text, primary_key=True),
    Column("term", Text, primary_key=True),
    Column("version_id", ID, ForeignKey("version.id"), primary_key=True),
    CheckConstraint(one_of("field", FIELDS), name="field_known"),
    *short("term"),
    sqlite_with_rowid=False,
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
    Index(None, "actor", "seq"),
    Index(None, "actor", "action", "seq"),
    Index(None, "action", "seq"),
    Index(None, "time", "seq"),
    CheckConstraint("length(prev_hash) = 32", name="prev_hash_length"),
    CheckConstraint("length(entry_hash) = 32", name="entry_hash_length"),
    CheckConstraint(f"length(label) <= {MAX_LABEL}", name="label_short"),
    *sha256("digest"),
    *utc("time"),
    *at_least(1, "seq"),
)
