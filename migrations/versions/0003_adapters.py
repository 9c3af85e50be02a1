"""Adapters: LoRAs and embeddings that owners upload and use by name."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "adapters",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('lora', 'embedding')", name=op.f("ck_adapters_kind")),
        sa.PrimaryKeyConstraint("sequence", name="pk_adapters"),
        sa.UniqueConstraint("id", name="uq_adapters_id"),
        sa.UniqueConstraint("owner", "kind", "name", name="uq_adapters_owner_kind_name"),
        sa.UniqueConstraint("owner", "kind", "digest", name="uq_adapters_owner_kind_digest"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("adapters")
