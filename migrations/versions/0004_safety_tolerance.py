"""How much each key's operator lets pass: `safety_tolerance`, 0 (strictest) .. 6; keys from before have 2.

A plain ADD COLUMN, as before, so that no table is rebuilt.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("safety_tolerance", sa.Integer(), nullable=False, server_default="2"))


def downgrade() -> None:
    op.drop_column("api_keys", "safety_tolerance")
