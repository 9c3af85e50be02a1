"""The tables, as typed SQLAlchemy models. Migrations build them; a test holds the two equal.

Only this package sees these rows: every store hands out frozen values.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column

from storage.columns import JsonText, UtcDateTime, choice
from storage.words import AdapterKind, JobState, Origin, Outcome, Role

_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY counts up in SQLite


class Base(DeclarativeBase):
    """Root of the models; named constraints, so that a later migration can drop them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime}


class ApiKeyRow(Base):
    """An API key: the digest of its token, never the token."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String, primary_key=True)
    owner: Mapped[str] = mapped_column(String)
    role: Mapped[Role] = mapped_column(choice(Role))
    purpose: Mapped[str] = mapped_column(Text)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    safety_tolerance: Mapped[int] = mapped_column(server_default="2")


class TextRow(Base):
    """Personal text, the only table that holds any; bytes, so that a cipher text fits without a new column."""

    __tablename__ = "texts"

    ref: Mapped[str] = mapped_column(String, primary_key=True)
    owner: Mapped[str] = mapped_column(String, index=True)
    kind: Mapped[str] = mapped_column(String)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class RecordRow(Base):
    """A provenance record: inserted once, then guarded by triggers against every change."""

    __tablename__ = "records"
    __table_args__ = (
        CheckConstraint("outcome IN ('done', 'refused', 'held', 'failed', 'cancelled')", name="outcome"),
        Index(None, "owner", "sequence"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True)
    id: Mapped[str] = mapped_column(String, unique=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), unique=True)
    owner: Mapped[str] = mapped_column(String)
    operation: Mapped[str] = mapped_column(String)
    outcome: Mapped[Outcome] = mapped_column(choice(Outcome))
    created_at: Mapped[datetime] = mapped_column(index=True)
    body: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))


class RecordLinkRow(Base):
    """An edit of one of our own outputs: `child` was made from what `parent` records."""

    __tablename__ = "record_links"

    parent_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True)
    child_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True, index=True)


class ImageRow(Base):
    """A picture that one owner may read; its bytes are the blob of the same digest."""

    __tablename__ = "images"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String, primary_key=True)
    pixel_sha256: Mapped[str] = mapped_column(String(64))
    media_type: Mapped[str] = mapped_column(String)
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    origin: Mapped[Origin] = mapped_column(choice(Origin))
    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), index=True)
    created_at: Mapped[datetime]


class JobRow(Base):
    """A job: the queue, its leases and what came of it. Its prompt is in `texts`."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'screening', 'editing', 'screening_output', 'publishing', "
            "'done', 'refused', 'held', 'failed', 'cancelled')",
            name="state",
        ),
        CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease"),
        Index(None, "state", "sequence"),
        Index(None, "owner", "sequence"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True)
    id: Mapped[str] = mapped_column(String, unique=True)
    owner: Mapped[str] = mapped_column(String)
    key_id: Mapped[str] = mapped_column(String)
    operation: Mapped[str] = mapped_column(String)
    checkpoint: Mapped[str] = mapped_column(String)
    parameters: Mapped[dict[str, Any]] = mapped_column(JsonText)
    prompt_ref: Mapped[str | None] = mapped_column(ForeignKey("texts.ref"))
    inputs: Mapped[list[str]] = mapped_column(JsonText)
    state: Mapped[JobState] = mapped_column(choice(JobState))
    step: Mapped[int | None]
    steps: Mapped[int | None]
    attempts: Mapped[int]
    cancel_requested: Mapped[bool]
    error_code: Mapped[str | None] = mapped_column(String)
    error_detail: Mapped[str | None] = mapped_column(Text)
    verdict: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    outputs: Mapped[list[str]] = mapped_column(JsonText)
    output_facts: Mapped[list[dict[str, Any]] | None] = mapped_column(JsonText)
    lease_token: Mapped[str | None] = mapped_column(String)
    lease_worker: Mapped[str | None] = mapped_column(String)
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    # A job's record names the job; the way back is looked up, since two tables that name each other cannot be built
    # by one CREATE each on SQLite.
    record_id: Mapped[str | None] = column_property(
        select(RecordRow.id)
        .where(RecordRow.job_id == id)  # noqa: A003 -- the column above is meant
        .correlate_except(RecordRow)
        .scalar_subquery()
    )


class LicenceAcceptanceRow(Base):
    """Who accepted which licence for which checkpoint, and when."""

    __tablename__ = "licence_acceptances"

    checkpoint: Mapped[str] = mapped_column(String, primary_key=True)
    licence: Mapped[str] = mapped_column(String, primary_key=True)
    accepted_by: Mapped[str] = mapped_column(String)
    accepted_at: Mapped[datetime]


class WorkerRow(Base):
    """A worker process and the last sign of life it gave."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String, primary_key=True)
    pid: Mapped[int]
    host: Mapped[str] = mapped_column(String)
    facts: Mapped[dict[str, Any]] = mapped_column(JsonText)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class AdapterRow(Base):
    """An uploaded LoRA or embedding that one owner may use; its bytes are the blob of the same digest."""

    __tablename__ = "adapters"
    __table_args__ = (
        CheckConstraint("kind IN ('lora', 'embedding')", name="kind"),
        UniqueConstraint("owner", "kind", "name"),
        UniqueConstraint("owner", "kind", "digest"),
        {"sqlite_autoincrement": True},
    )

    sequence: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True)
    id: Mapped[str] = mapped_column(String, unique=True)
    owner: Mapped[str] = mapped_column(String)
    key_id: Mapped[str] = mapped_column(String)
    kind: Mapped[AdapterKind] = mapped_column(choice(AdapterKind))
    name: Mapped[str] = mapped_column(String)
    digest: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    facts: Mapped[dict[str, Any]] = mapped_column(JsonText)
    created_at: Mapped[datetime]


class SketchRow(Base):
    """Numbers by which one job's request is compared with others of its key; see `storage.sketches`."""

    __tablename__ = "sketches"
    __table_args__ = (Index(None, "key_id", "at"),)

    job_id: Mapped[str] = mapped_column(String, primary_key=True)
    key_id: Mapped[str] = mapped_column(String)
    at: Mapped[datetime] = mapped_column(index=True)
    prompt: Mapped[int | None] = mapped_column(BigInteger)
    pictures: Mapped[int | None] = mapped_column(BigInteger)
    likenesses: Mapped[list[int]] = mapped_column(JsonText)


class SecretRow(Base):
    """A secret of this installation, made when it is first needed."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String, primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
