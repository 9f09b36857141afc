"""${message}."""

# Batch mode loses unnamed CHECKs, so name every constraint; env.py makes the triggers anew. Never
# rebuild the ledger: only add columns to it. Refuse a downgrade that would lose rows which cannot
# be made again.

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
