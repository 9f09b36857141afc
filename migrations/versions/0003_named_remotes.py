"""What the names of remotes mean, and meant."""

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Text, text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MAX_NAME = 39
MAX_LOCATION = 650

ID = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "remote_name",
        Column("seq", ID, ForeignKey("ledger.seq"), primary_key=True, autoincrement=False),
        Column("name", Text, nullable=False),
        Column("location", Text),
        Index(None, "name", "seq"),
        CheckConstraint(
            f"length(name) BETWEEN 1 AND {MAX_NAME} AND ltrim(name, '-') = name "
            "AND trim(name, 'abcdefghijklmnopqrstuvwxyz0123456789-') = ''",
            name="name_spelling",
        ),
        CheckConstraint(f"length(location) BETWEEN 1 AND {MAX_LOCATION}", name="location_short"),
    )


def downgrade() -> None:
    if op.get_bind().scalar(text("SELECT count(*) FROM remote_name")):
        raise RuntimeError("the rows of remote_name would be lost, and they are history")
    op.drop_table("remote_name")
