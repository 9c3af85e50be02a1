"""Sketches: numbers by which a key's requests are compared for a while, and the secret that they are made with."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
    op.create_table(
        "sketches",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prompt", sa.BigInteger(), nullable=True),
        sa.Column("pictures", sa.BigInteger(), nullable=True),
        sa.Column("likenesses", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_sketches"),
    )
    op.create_index("ix_sketches_key_id_at", "sketches", ["key_id", "at"])
    op.create_index("ix_sketches_at", "sketches", ["at"])


def downgrade() -> None:
    op.drop_table("sketches")
    op.drop_table("secrets")
