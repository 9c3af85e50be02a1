"""What is known about each picture a job made: its seed, its size, how visible its border is.

A plain ADD COLUMN: rebuilding the table, which SQLite needs for more, would drop it under the records that refer to it.
Jobs that ended before keep NULL.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("output_facts", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "output_facts")
