"""First tables: keys, texts, jobs, records with their guards, images, licence acceptances, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OUTCOMES = ("done", "refused", "held", "failed", "cancelled")
STATES = ("queued", "screening", "editing", "screening_output", "publishing", *OUTCOMES)
GUARDED = ("records", "record_links")
MESSAGE = "records are never changed or deleted"


def upgrade() -> None:
    _create_api_keys()
    _create_texts()
    _create_jobs()
    _create_records()
    _create_record_links()
    _create_images()
    _create_licence_acceptances()
    _create_workers()
    if op.get_bind().dialect.name == "sqlite":
        _guard_on_sqlite()
    else:
        _guard_on_postgresql()


def downgrade() -> None:
    for table in ("workers", "licence_acceptances", "images", "record_links", "records", "jobs", "texts", "api_keys"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _moment(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _word(name: str) -> sa.Column:
    return sa.Column(name, sa.String(length=32), nullable=False)


def _sequence() -> sa.Column:
    return sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _one_of(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        _word("role"),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        _moment("created_at"),
        _moment("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("token_sha256", name="uq_api_keys_token_sha256"),
    )


def _create_texts() -> None:
    op.create_table(
        "texts",
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        _moment("created_at"),
        _moment("erased_at", nullable=True),
        sa.PrimaryKeyConstraint("ref", name="pk_texts"),
    )
    op.create_index("ix_texts_owner", "texts", ["owner"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        _sequence(),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("prompt_ref", sa.String(), nullable=True),
        sa.Column("inputs", sa.Text(), nullable=False),
        _word("state"),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("steps", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("outputs", sa.Text(), nullable=False),
        sa.Column("lease_token", sa.String(), nullable=True),
        sa.Column("lease_worker", sa.String(), nullable=True),
        _moment("lease_until", nullable=True),
        _moment("created_at"),
        _moment("started_at", nullable=True),
        _moment("finished_at", nullable=True),
        sa.CheckConstraint(_one_of("state", STATES), name="ck_jobs_state"),
        sa.CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="ck_jobs_lease"),
        sa.ForeignKeyConstraint(["prompt_ref"], ["texts.ref"], name="fk_jobs_prompt_ref"),
        sa.PrimaryKeyConstraint("sequence", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_owner_sequence", "jobs", ["owner", "sequence"])
    op.create_index("ix_jobs_state_sequence", "jobs", ["state", "sequence"])


def _create_records() -> None:
    op.create_table(
        "records",
        _sequence(),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        _word("outcome"),
        _moment("created_at"),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.CheckConstraint(_one_of("outcome", OUTCOMES), name="ck_records_outcome"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_records_job_id"),
        sa.PrimaryKeyConstraint("sequence", name="pk_records"),
        sa.UniqueConstraint("id", name="uq_records_id"),
        sa.UniqueConstraint("job_id", name="uq_records_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_records_created_at", "records", ["created_at"])
    op.create_index("ix_records_owner_sequence", "records", ["owner", "sequence"])


def _create_record_links() -> None:
    op.create_table(
        "record_links",
        sa.Column("parent_id", sa.String(), nullable=False),
        sa.Column("child_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["records.id"], name="fk_record_links_parent_id"),
        sa.ForeignKeyConstraint(["child_id"], ["records.id"], name="fk_record_links_child_id"),
        sa.PrimaryKeyConstraint("parent_id", "child_id", name="pk_record_links"),
    )
    op.create_index("ix_record_links_child_id", "record_links", ["child_id"])


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("pixel_sha256", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        _word("origin"),
        sa.Column("record_id", sa.String(), nullable=False),
        _moment("created_at"),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_images_record_id"),
        sa.PrimaryKeyConstraint("digest", "owner", name="pk_images"),
    )
    op.create_index("ix_images_record_id", "images", ["record_id"])


def _create_licence_acceptances() -> None:
    op.create_table(
        "licence_acceptances",
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("accepted_by", sa.String(), nullable=False),
        _moment("accepted_at"),
        sa.PrimaryKeyConstraint("checkpoint", "licence", name="pk_licence_acceptances"),
    )


def _create_workers() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        _moment("started_at"),
        _moment("seen_at"),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )


def _guard_on_sqlite() -> None:
    """SQLite drops triggers with their table. INSERT OR REPLACE deletes without a delete trigger unless a connection
    asks for one, so a row that would replace another is refused as well."""
    for table in GUARDED:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
            )
    same = {
        "records": "sequence = NEW.sequence OR id = NEW.id OR (NEW.job_id IS NOT NULL AND job_id = NEW.job_id)",
        "record_links": "parent_id = NEW.parent_id AND child_id = NEW.child_id",
    }
    for table, clash in same.items():
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {clash}) BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        )


def _guard_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table in GUARDED:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
