"""${message}."""

# Batch mode loses triggers and unnamed CHECKs, so name every constraint and end with
# `triggers.install`. Never rebuild the ledger: only add columns to it. Refuse a downgrade that
# would lose rows which cannot be made again.

import sqlalchemy as sa
from alembic import op

from weightpatch.registry.database import triggers
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
    triggers.install(op.get_bind())


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
    triggers.install(op.get_bind())
